/* The hand-over as a model: every interleaving of a writer that may be killed and reborn at any step, the gatekeeper
 * and the workers. One generation is one block; a block's content is the generation written to it, 0 while it is being
 * written. The invariant is in READ: whoever reads a generation finds it whole, that is, its block was neither freed
 * and written again, nor not yet written.
 *
 * A reborn writer may also make a fresh segment, whose generations begin at 1 again (SEGMENTS=2).
 *
 * Memory is sequentially consistent here; that the orders in the code suffice is ThreadSanitizer's part (threads_test).
 * Mutants (-D…), each of which Spin must refute:
 *   NO_GRACE          blocks are reused at once
 *   ROOT_FIRST        the root is stored before the block is written
 *   WORKERS_FIRST     the writer reads the workers' pins before the gatekeeper's
 *   PIN_FIRST         the gatekeeper moves its pin before the view in force
 *   NO_ATTACHING      a worker that attaches loads the view before it pins
 *   MOVE_IS_NO_ATTACH a worker moves to another view by storing that view's generation only (SEGMENTS=2)
 */
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef SEGMENTS
#define SEGMENTS 1
#endif
#ifndef GENERATIONS
#define GENERATIONS 4
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define BLOCKS 3

#define ATTACHING 0
#define PIN_NONE 255
#define UNDEFINED 255

/* A view: segment, generation and block in one word, as the root word has the latter two. 0 = none. */
#define VIEW(s, g, b) ((s) * 64 + (g) * 4 + (b))
#define SEGMENT_OF(v) ((v) / 64)
#define GENERATION_OF(v) (((v) / 4) % 16)
#define BLOCK_OF(v) ((v) % 4)
#define READ(v) assert(content[SEGMENT_OF(v) * BLOCKS + BLOCK_OF(v)] == GENERATION_OF(v))

/* Shared memory. */
byte root[SEGMENTS];             /* a view of that segment */
byte content[SEGMENTS * BLOCKS]; /* which generation was written there */
byte gatekeeper_pin = PIN_NONE;
byte worker_pin[WORKERS] = PIN_NONE;
/* The socket: which segment the control plane has offered last. */
byte offered = 0;
/* Private to the data plane. */
byte in_force = 0;

bool killed = false;
byte kills = 0;

inline lower_to(p) {
  if
  :: p < oldest -> oldest = p
  :: else
  fi
}

active proctype writer() {
  byte segment, generation, block, oldest, i;
  bool is_free[BLOCKS];
  byte unlinked_by[BLOCKS]; /* of blocks in limbo; 0 = not in limbo */

reborn:
  atomic { /* a new process remembers nothing */
    killed = false;
    block = 0; oldest = 0; i = 0;
    if
    :: segment = offered
    :: SEGMENTS > 1 && offered == 0 && kills > 0 -> offered = 1; segment = 1
    fi;
    generation = GENERATION_OF(root[segment]);
    for (i : 0 .. BLOCKS - 1) {
      is_free[i] = (generation == 0);
      unlinked_by[i] = ((generation == 0 || BLOCK_OF(root[segment]) == i) -> 0 : generation)
    }
    i = 0
  }
  {
end:
    do
    :: generation < GENERATIONS && (is_free[0] || is_free[1] || is_free[2]) -> /* publish */
       atomic {
         if
         :: is_free[0] -> block = 0
         :: !is_free[0] && is_free[1] -> block = 1
         :: !is_free[0] && !is_free[1] -> block = 2
         fi;
         is_free[block] = false
       }
#ifdef ROOT_FIRST
       atomic { i = root[segment]; root[segment] = VIEW(segment, generation + 1, block) }
#endif
       content[segment * BLOCKS + block] = 0;
       content[segment * BLOCKS + block] = generation + 1;
#ifndef ROOT_FIRST
       atomic { i = root[segment]; root[segment] = VIEW(segment, generation + 1, block) }
#endif
       atomic {
         generation++;
         if
         :: i != 0 -> unlinked_by[BLOCK_OF(i)] = generation
         :: else
         fi;
         i = 0; block = 0
       }
    :: unlinked_by[0] + unlinked_by[1] + unlinked_by[2] > 0 -> /* reclaim */
#ifdef WORKERS_FIRST
       oldest = PIN_NONE;
       i = 0;
       do
       :: i < WORKERS -> atomic { lower_to(worker_pin[i]); i++ }
       :: else -> break
       od;
       lower_to(gatekeeper_pin);
#else
       oldest = gatekeeper_pin;
       i = 0;
       do
       :: i < WORKERS -> atomic { lower_to(worker_pin[i]); i++ }
       :: else -> break
       od;
#endif
#ifdef NO_GRACE
       oldest = PIN_NONE;
#endif
       atomic {
         for (i : 0 .. BLOCKS - 1) {
           if
           :: unlinked_by[i] > 0 && unlinked_by[i] <= oldest -> unlinked_by[i] = 0; is_free[i] = true
           :: else
           fi
         }
         i = 0; oldest = 0
       }
    od
  } unless { killed };
  goto reborn
}

active proctype killer() {
end:
  do
  :: kills < KILLS && !killed -> atomic { kills++; killed = true }
  od
}

active proctype gatekeeper() {
  byte segment = UNDEFINED; /* of the view in force */
  byte next;
end:
  do
  :: segment != offered -> /* a segment we read nothing of so far */
     gatekeeper_pin = ATTACHING;
     next = root[offered];
     if
     :: next == 0 -> gatekeeper_pin = (in_force == 0 -> PIN_NONE : GENERATION_OF(in_force))
     :: else ->
        READ(next);
        in_force = next;
        atomic { gatekeeper_pin = GENERATION_OF(next); segment = SEGMENT_OF(next); next = 0 }
     fi
  :: segment == offered && root[segment] != in_force ->
     next = root[segment];
     READ(next);
#ifdef PIN_FIRST
     gatekeeper_pin = GENERATION_OF(next);
     in_force = next;
#else
     in_force = next;
     gatekeeper_pin = GENERATION_OF(next);
#endif
     next = 0
  od
}

active [WORKERS] proctype worker() {
  byte me = _pid - 3;
  byte view = 0;
end:
  do
  :: in_force != view -> /* follow */
#ifdef NO_ATTACHING
     view = in_force;
#else
#ifdef MOVE_IS_NO_ATTACH
     if
     :: view == 0 -> worker_pin[me] = ATTACHING; view = in_force
     :: else -> view = in_force
     fi;
#else
     worker_pin[me] = ATTACHING;
     view = in_force;
#endif
#endif
     worker_pin[me] = GENERATION_OF(view);
  :: view != 0 -> READ(view)
  :: view != 0 -> atomic { view = 0; worker_pin[me] = PIN_NONE }
  od
}
