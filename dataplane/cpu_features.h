// What this build needs of the processor.
#pragma once

namespace guideway {

// Throws StartError when the processor lacks the baseline the program was compiled for (x86-64-v2 with AES-NI).
void require_cpu_features();

}  // namespace guideway
