// Each kind of mistake, and the exact words about it.

#include <gtest/gtest.h>

#include <ostream>

#include "tests/unit/config/loaded.h"

namespace guideway::config {
namespace {

struct Mistake {
  const char* name;
  const char* text;      // behind kBase, so it begins in [dataplane]
  const char* problems;  // lines counted from the first of `text`; those within messages from the start
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.name;
}

// Two backends, so that pools are beyond reproach.
#define BACKENDS R"(backends = [{ name = "a", address = "10.0.0.1" }, { name = "b", address = "10.0.0.2" }])"
#define POOL "[pool.web]\n" BACKENDS "\n"

constexpr Mistake kMistakes[] = {
    {"nothing_wrong", "", ""},

    // The document.
    {"syntax", "memory = \n", "1:10 error: Error while parsing key-value pair: expected value, saw '\\n'\n"},
    {"key_twice", "memory = \"64MiB\"\nmemory = \"64MiB\"\n",
     "2:10 error: Error while parsing key-value pair: cannot redefine existing string 'memory'\n"},
    {"unknown_key", "memroy = \"64MiB\"\n",
     "1:1 error: unknown key \"memroy\" in dataplane; did you mean \"memory\"?\n"},
    {"unknown_key_far_from_all", "colour = \"red\"\n", "1:1 error: unknown key \"colour\" in dataplane; remove it\n"},
    {"unknown_table", "[backend.a]\n", "1:2 error: unknown key \"backend\" at the top level; remove it\n"},
    {"everything_at_once_in_order", "vips_max = 0\nbackends_max = true\nrx_descriptors = \"many\"\n",
     "1:12 error: vips_max must be between 1 and 1048576, not 0\n"
     "2:16 error: backends_max wants an integer, found the boolean true\n"
     "3:18 error: rx_descriptors wants an integer, found the string \"many\"\n"},

    // Kinds.
    {"integer_from_list", "vips_max = [1]\n", "1:12 error: vips_max wants an integer, found a list\n"},
    {"integer_from_fraction", "vips_max = 1.5\n",
     "1:12 error: vips_max wants an integer, found a number with a fraction\n"},
    {"integer_from_date", "vips_max = 2026-01-01\n", "1:12 error: vips_max wants an integer, found a date or time\n"},
    {"integer_from_table", "vips_max = {}\n", "1:12 error: vips_max wants an integer, found a table\n"},
    {"integer_huge", "vips_max = 9223372036854775807\n",
     "1:12 error: vips_max must be between 1 and 1048576, not 9223372036854775807\n"},
    {"duration_without_unit", "heartbeat_timeout = \"5\"\n",
     "1:21 error: heartbeat_timeout has no unit; write ms, s, m or h behind the number\n"},
    {"duration_bad_unit", "heartbeat_timeout = \"5sec\"\n",
     "1:21 error: heartbeat_timeout has the unknown unit \"sec\"; use ms, s, m or h\n"},
    {"duration_from_integer", "heartbeat_timeout = 5\n",
     "1:21 error: heartbeat_timeout wants a string with a unit, like \"3s\", found the integer 5\n"},
    {"duration_negative", "heartbeat_timeout = \"-5s\"\n",
     "1:21 error: heartbeat_timeout wants a string with a unit, like \"3s\", found the string \"-5s\"\n"},
    {"duration_out_of_range", "heartbeat_timeout = \"1h\"\n",
     "1:21 error: heartbeat_timeout must be between 100ms and 60s, not 1h\n"},
    {"duration_of_many_digits", "heartbeat_timeout = \"9999999999999999999s\"\n",
     "1:21 error: heartbeat_timeout wants a string with a unit, like \"3s\", found the string "
     "\"9999999999999999999s\"\n"},
    {"size_bad_unit", "memory = \"512MB\"\n", "1:10 error: memory has the unknown unit \"MB\"; use MiB or GiB\n"},
    {"size_out_of_range", "memory = \"1MiB\"\n", "1:10 error: memory must be between 64MiB and 1048576MiB, not 1MiB\n"},
    {"choice", "hugepages = \"of\"\n",
     "1:13 error: hugepages must be \"auto\", \"on\" or \"off\", not \"of\"; did you mean \"on\"?\n"},
    {"choice_from_boolean", "hugepages = true\n",
     "1:13 error: hugepages wants \"auto\", \"on\" or \"off\", found the boolean true\n"},

    // [dataplane]
    {"run_dir_relative", "[control]\nrun_dir = \"x\"\n", "2:11 error: run_dir must be an absolute path, not \"x\"\n"},
    {"port_twice", "[[dataplane.port]]\nname = \"uplink\"\ndevice = \"net_null0\"\n",
     "2:8 error: there are two ports \"uplink\"; rename one\n"
     "3:10 error: port \"uplink\" has this device already\n"},
    {"port_misses_device", "[[dataplane.port]]\nname = \"b\"\n", "1:1 error: missing key device in dataplane.port\n"},
    {"port_name", "[[dataplane.port]]\nname = \"Up\"\ndevice = \"d\"\n",
     "2:8 error: name must be 1 to 63 of a-z, 0-9, _ and -, not \"Up\"\n"},
    {"device_with_space", "[[dataplane.port]]\nname = \"b\"\ndevice = \"net_tap0 iface=x\"\n",
     "3:10 error: device must be printable ASCII without spaces, not \"net_tap0 iface=x\"\n"},
    {"kernel_path", "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nkernel = \"ster\"\n",
     "4:10 error: kernel must be \"auto\", \"steer\", \"copy\", \"none\" or a device like \"net_tap0,iface=gw0\", not "
     "\"ster\"; did you mean \"steer\"?\n"},
    {"kernel_interface", "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nkernel_interface = \"a234567890123456\"\n",
     "4:20 error: kernel_interface must be a kernel interface: at most 15 characters and no '/', not "
     "\"a234567890123456\"\n"},
    {"next_hop_mac", "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nnext_hop_mac = \"01:00:5e:00:00:01\"\n",
     "4:16 error: next_hop_mac must be a unicast MAC address, not \"01:00:5e:00:00:01\"\n"},
    {"next_hop_mac_syntax", "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nnext_hop_mac = \"2:0:5e:0:0:1\"\n",
     "4:16 error: next_hop_mac must be a MAC address like \"02:00:5e:10:00:01\", not \"2:0:5e:0:0:1\"\n"},
    {"sources_of_one_family",
     "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nsource_addresses = [\"192.0.2.1\", \"192.0.2.2\"]\n",
     "4:34 error: source_addresses has two addresses of one family; keep one IPv4 and one IPv6\n"},
    {"mtu", "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nmtu = 100\n",
     "4:7 error: mtu must be between 576 and 9702, not 100\n"},

    // [health_check.NAME]
    {"check_without_port",
     "[health_check.a]\n" POOL "health_check = \"a\"\n[vip.v]\naddress = \"192.0.2.1\"\nport = 1\n"
     "pool = \"web\"\n",
     "1:15 error: missing key port in health_check.a\n"},
    {"check_timeout_over_interval", "[health_check.a]\nport = 1\ninterval = \"1s\"\ntimeout = \"2s\"\n",
     "1:15 warning: health check \"a\" is not used; remove it or refer to it\n"
     "4:11 error: timeout is longer than interval; a check must end before the next one begins\n"},
    {"check_http_keys_for_tcp", "[health_check.a]\nport = 1\npath = \"/\"\nexpect = 200\n",
     "1:15 warning: health check \"a\" is not used; remove it or refer to it\n"
     "3:8 error: path is for type = \"http\"; remove it\n"
     "4:10 error: expect is for type = \"http\"; remove it\n"},
    {"check_expect", "[health_check.a]\ntype = \"http\"\nport = 1\nexpect = \"299-200\"\npath = \"x\"\njitter = 1\n",
     "1:15 warning: health check \"a\" is not used; remove it or refer to it\n"
     "4:10 error: expect must be a status or a range within 100 to 599 like \"200-299\", not \"299-200\"\n"
     "5:8 error: path must begin with '/', not \"x\"\n"
     "6:10 error: jitter must be between 0 and 0.5, not 1\n"},
    {"check_jitter_nan", "[health_check.a]\ntype = \"none\"\njitter = nan\n",
     "1:15 warning: health check \"a\" is not used; remove it or refer to it\n"
     "3:10 error: jitter must be between 0 and 0.5, not nan\n"},

    // [pool.NAME]
    {"pool_name", "[pool.\"Web 1\"]\n" BACKENDS "\n",
     "1:7 error: the name of a pool must be 1 to 63 of a-z, 0-9, _ and -, not \"Web 1\"\n"
     "1:7 warning: pool \"Web 1\" is not used; remove it or refer to it\n"},
    {"pool_unused", POOL, "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"},
    {"pool_is_no_table", "[pool]\nweb = 1\n", "2:7 error: pool.web wants a table, found the integer 1\n"},
    {"pool_without_backends_key", "[pool.web]\n",
     "1:7 error: missing key backends in pool.web\n"
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"},
    {"pool_slots", POOL "slots = 65520\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:9 error: slots must be a prime, and 65520 is none; the nearest are 65519 or 65521\n"},
    {"pool_slots_last", POOL "slots = 1048576\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:9 error: slots must be a prime, and 1048576 is none; the nearest are 1048573\n"},
    {"pool_check_unknown", "[health_check.http]\nport = 80\n" POOL "health_check = \"htpp\"\n",
     "1:15 warning: health check \"http\" is not used; remove it or refer to it\n"
     "3:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "5:16 error: health_check names the health check \"htpp\", which does not exist; did you mean \"http\"?\n"},
    {"pool_encap", POOL "encap = \"vxlan\"\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:9 error: encap must be \"ipip\", \"gue\" or \"gue1\", not \"vxlan\"\n"},

    // backends
    {"backend_twice",
     "[pool.web]\nbackends = [\n{ name = \"a\", address = \"10.0.0.1\" },\n{ name = \"a\", address = \"10.0.0.2\" },\n"
     "{ name = \"c\", address = \"10.0.0.1\" },\n]\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "4:10 error: backend \"a\" is in line 10 already\n"
     "5:25 error: address 10.0.0.1 is that of backend \"a\" already (line 10)\n"},
    {"backend_alone", "[pool.web]\nbackends = [{ name = \"a\", address = \"10.0.0.1\" }]\n",
     "1:7 warning: pool \"web\" has one backend: no redundancy\n"
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"},
    {"backends_none", "[pool.web]\nbackends = []\n",
     "1:7 warning: pool \"web\" has no backend: all is dropped\n"
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"},
    {"backends_of_weight_0",
     "[pool.web]\nbackends = [{ name = \"a\", address = \"10.0.0.1\", weight = 0 }, { name = \"b\", address = "
     "\"10.0.0.2\", weight = 0 }]\n",
     "1:7 warning: pool \"web\" has weight 0 everywhere: all is dropped\n"
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"},
    {"backends_many_for_slots",
     "[pool.web]\nslots = 251\nbackends = [{ name = \"a\", address = \"10.0.0.1\" }, { name = \"b\", address = "
     "\"10.0.0.2\" }, { name = \"c\", address = \"10.0.0.3\" }]\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "2:9 warning: slots are few for 3 backends: shares are uneven below 300\n"},
    {"backends_over_the_maximum", "backends_max = 1\n" POOL,
     "2:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:12 error: here are more than 1 backends in all; raise dataplane.backends_max\n"},
    {"backend_values",
     "[pool.web]\nbackends = [{ name = \"a\", weight = -1 }, 5, { name = \"B\", address = \"10.0.0.256\" }]\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "2:13 error: missing key address in pool.web.backends\n"
     "2:36 error: weight must be between 0 and 65535, not -1\n"
     "2:42 error: backends wants a table, found the integer 5\n"
     "2:54 error: name must be 1 to 63 of a-z, 0-9, _ and -, not \"B\"\n"
     "2:69 error: address must be an IPv4 or IPv6 address, not \"10.0.0.256\"\n"},

    // [vip.NAME]
    {"vip_misses_all", POOL "[vip.v]\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:6 error: missing key address in vip.v\n"
     "3:6 error: missing key port in vip.v\n"
     "3:6 error: missing key pool in vip.v\n"},
    {"vip_pool_unknown", POOL "[vip.v]\naddress = \"192.0.2.1\"\nport = 80\npool = \"wbe\"\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "6:8 error: pool names the pool \"wbe\", which does not exist; did you mean \"web\"?\n"},
    {"vip_twice",
     POOL
     "[vip.v]\naddress = \"192.0.2.1\"\nport = 80\npool = \"web\"\n"
     "[vip.w]\naddress = [\"2001:db8::1\", \"192.0.2.1\"]\nprotocol = [\"udp\", \"tcp\"]\nport = 80\npool = \"web\"\n",
     "8:27 error: VIP \"v\" (line 11) has 192.0.2.1:80 tcp already\n"},
    {"vip_unserved_differs",
     POOL "[vip.v]\naddress = \"192.0.2.1\"\nport = 80\npool = \"web\"\n"
          "[vip.w]\naddress = \"192.0.2.1\"\nport = 81\npool = \"web\"\nunserved = \"kernel\"\n",
     "8:11 error: unserved differs from VIP \"v\", but 192.0.2.1 is one address with one rule; make both equal\n"},
    {"vip_is_a_backend", POOL "[vip.v]\naddress = \"10.0.0.2\"\nport = 80\npool = \"web\"\n",
     "4:11 error: VIP \"v\" has the address of backend \"web/b\"; give the backend its own\n"},
    {"vips_over_the_maximum",
     "vips_max = 1\n" POOL
     "[vip.v]\naddress = \"192.0.2.1\"\nport = 80\npool = \"web\"\nprotocol = [\"tcp\", \"udp\"]\n",
     "4:6 error: here are more than 1 VIPs in all; raise dataplane.vips_max\n"},

    // [bgp]
    {"bgp_misses_all",
     POOL "[vip.v]\naddress = [\"192.0.2.1\", \"2001:db8::1\"]\nport = 80\npool = \"web\"\n[bgp]\nenabled = true\n",
     "7:2 error: missing key peer in bgp\n"
     "7:2 error: missing key source in bgp\n"
     "7:2 error: missing key local_as in bgp\n"
     "7:2 error: missing key router_id in bgp\n"
     "7:2 error: missing key next_hop4 in bgp: VIP \"v\" is to be announced\n"
     "7:2 error: missing key next_hop6 in bgp: VIP \"v\" is to be announced\n"},
    {"bgp_ends_equal",
     "[bgp]\nenabled = true\npeer = \"127.0.0.1\"\nsource = \"127.0.0.1\"\nlocal_as = 1\nrouter_id = \"192.0.2.1\"\n",
     "4:10 error: source must differ from peer; on one host use 127.0.0.1 and 127.0.0.2\n"},
    {"bgp_ends_of_two_families",
     "[bgp]\nenabled = true\npeer = \"127.0.0.1\"\nsource = \"::1\"\nlocal_as = 1\nrouter_id = \"192.0.2.1\"\n",
     "4:10 error: source and peer must be of one family\n"},
    {"bgp_values", "[bgp]\nlocal_as = 0\nrouter_id = \"::1\"\nnext_hop6 = \"192.0.2.1\"\nhold_time = \"2s\"\n",
     "2:12 error: local_as must be between 1 and 4294967294, not 0\n"
     "3:13 error: router_id must be an IPv4 address\n"
     "4:13 error: next_hop6 must be an IPv6 address\n"
     "5:13 error: hold_time must be between 3s and 65535s, not 2s\n"},
    {"bgp_hold_time_part_of_a_second", "[bgp]\nhold_time = \"3500ms\"\n",
     "2:13 error: hold_time must be in whole seconds\n"},

    // [control]
    {"run_dir_long",
     "[control]\nrun_dir = "
     "\"/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
     "123\"\n",
     "2:11 error: run_dir is longer than 92 bytes: its sockets' names would not fit\n"},
    {"tables_memory", "[control]\ntables_memory = \"2GiB\"\n",
     "2:17 error: tables_memory must be between 1MiB and 1024MiB, not 2GiB\n"},
};

class EachMistake : public testing::TestWithParam<Mistake> {};

TEST_P(EachMistake, IsNamedExactly) {
  EXPECT_EQ(problems_of(GetParam().text), GetParam().problems);
}

INSTANTIATE_TEST_SUITE_P(, EachMistake, testing::ValuesIn(kMistakes),
                         [](const auto& mistake) { return mistake.param.name; });

TEST(Mistakes, EmptyFileMissesWhatIsNeeded) {
  EXPECT_EQ(summary(load_config_text("", "f")),
            "0:0 error: missing key schema at the top level\n"
            "0:0 error: missing key worker_cores in dataplane\n"
            "0:0 error: missing key port in dataplane\n"
            "0:0 warning: no flow_hash.key_file: the flow hash key is a published one, fit for labs only\n");
}

TEST(Mistakes, OtherSchema) {
  EXPECT_EQ(summary(load_config_text("schema = 2\ndataplane = 1\nflow_hash = 2", "f")),
            "1:10 error: schema must be 1, not 2\n"
            "2:13 error: dataplane wants a table, found the integer 1\n"
            "3:13 error: flow_hash wants a table, found the integer 2\n");
}

TEST(Mistakes, CoresTwice) {
  EXPECT_EQ(summary(load_config_text("schema = 1\n[dataplane]\nmain_core = 2\nworker_cores = [1, 2, 1]\n"
                                     "[[dataplane.port]]\nname = \"a\"\ndevice = \"b\"\n[flow_hash]\n",
                                     "f")),
            "4:20 warning: core 2 is main_core too: the worker on it shares its time\n"
            "4:23 error: worker_cores names core 1 twice\n"
            "8:2 warning: no flow_hash.key_file: the flow hash key is a published one, fit for labs only\n");
}

struct AddressCase {
  const char* address;
  const char* why;  // nullptr: taken
};

TEST(Mistakes, VipAddressesThatNoHostCanHave) {
  constexpr AddressCase kCases[] = {
      {"203.0.113.10", nullptr},
      {"2001:db8::1", nullptr},
      {"10.0.0.9", nullptr},
      {"fd00::1", nullptr},
      {"0.0.0.0", "is in 0.0.0.0/8, which names no host"},
      {"127.0.0.1", "is a loopback address"},
      {"169.254.1.1", "is a link-local address"},
      {"224.0.0.1", "is a multicast address"},
      {"240.0.0.1", "is in 240.0.0.0/4, which is reserved"},
      {"255.255.255.255", "is the broadcast address"},
      {"::", "is the unspecified address"},
      {"::1", "is the loopback address"},
      {"fe80::1", "is a link-local address"},
      {"ff02::1", "is a multicast address"},
  };
  for (const auto& [address, why] : kCases) {
    const std::string text = std::string(POOL) + "[vip.v]\nport = 80\npool = \"web\"\naddress = \"" + address + "\"\n";
    const std::string expected = why == nullptr ? ""
                                                : std::string("6:11 error: address must be a unicast address, but ") +
                                                      address + " " + why + "\n";
    EXPECT_EQ(problems_of(text), expected) << address;
  }
  EXPECT_EQ(problems_of(POOL "[vip.v]\nport = 80\npool = \"web\"\naddress = \"::ffff:192.0.2.1\"\n"),
            "6:11 error: address is the IPv4-mapped \"::ffff:192.0.2.1\"; write \"192.0.2.1\"\n");
}

}  // namespace
}  // namespace guideway::config
