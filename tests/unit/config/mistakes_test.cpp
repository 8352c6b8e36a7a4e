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
#define SLOTS(n) POOL "slots = " n "\n"
#define USED "[vip.v]\naddress = \"192.0.2.1\"\nport = 1\npool = \"web\"\n"

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
    {"idle_sleep_too_long", "idle_sleep_us = 1001\n",
     "1:17 error: idle_sleep_us must be between 0 and 1000, not 1001\n"},
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

    {"source_prefixes",
     "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nipip_source_prefixes = [\"192.0.2.0/31\", "
     "\"2001:db8::/127\"]\n",
     "4:25 error: ipip_source_prefixes must be a prefix of /8 to /30, not 192.0.2.0/31\n"
     "4:41 error: ipip_source_prefixes must be a prefix of /32 to /126, not 2001:db8::/127\n"},
    {"source_prefix_that_is_an_address",
     "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nipip_source_prefixes = \"192.0.2.1\"\n",
     "4:24 error: ipip_source_prefixes must be a prefix of /8 to /30, not 192.0.2.1/32\n"},
    {"source_prefixes_of_one_family",
     "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nipip_source_prefixes = [\"192.0.2.0/24\", \"198.18.0.0/24\"]\n",
     "4:41 error: ipip_source_prefixes has two prefixes of one family; keep one IPv4 and one IPv6\n"},
    {"vlan", "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nvlan = [0, 4095]\n",
     "4:9 error: vlan must be between 1 and 4094, not 0\n"
     "4:12 error: vlan must be between 1 and 4094, not 4095\n"},
    {"vlan_three", "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nvlan = [1, 2, 3]\n",
     "4:8 error: vlan has 3 elements; at most 2 are possible\n"},
    {"limits_per_second", "echo_per_second = -1\nerrors_per_second = 10000001\n",
     "1:19 error: echo_per_second must be between 0 and 10000000, not -1\n"
     "2:21 error: errors_per_second must be between 0 and 10000000, not 10000001\n"},

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
    {"pool_fail_open_below", "[health_check.http]\nport = 80\n" POOL "health_check = \"http\"\nfail_open_below = 101\n",
     "3:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "6:19 error: fail_open_below must be between 0 and 100, not 101\n"},
    {"pool_fail_open_below_percent",
     "[health_check.http]\nport = 80\n" POOL "health_check = \"http\"\nfail_open_below = \"50%\"\n",
     "3:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "6:19 error: fail_open_below wants an integer, found the string \"50%\"\n"},
    {"pool_fail_open_below_without_check", POOL "fail_open_below = 50\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:19 error: fail_open_below is for pools with a health_check; remove it, or add one\n"},
    {"pool_encap", POOL "encap = \"vxlan\"\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:9 error: encap must be \"gue\", \"gue1\", \"ipip\", \"gre\" or \"l2dsr\", not \"vxlan\"\n"},
    {"pool_dscp", POOL "dscp = 64\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:8 error: dscp must be between 0 and 63, not 64\n"},
    {"pool_dscp_word", POOL "dscp = \"ef\"\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:8 error: dscp must be \"copy\" or a number from 0 to 63, not \"ef\"\n"},
    {"pool_dscp_without_outer_header", POOL "encap = \"l2dsr\"\ndscp = 0\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "4:8 error: dscp is for outer headers, and encap = \"l2dsr\" has none; remove it\n"},
    {"pool_oversize", POOL "oversize = \"fragment_inner\"\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "3:12 error: oversize must be \"fragment\", \"fragment-inner\" or \"drop\", not \"fragment_inner\"; did you mean "
     "\"fragment-inner\"?\n"},

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

    {"backend_mtu",
     "[pool.web]\nbackends = [{ name = \"a\", address = \"10.0.0.1\", mtu = 575 },\n"
     "{ name = \"b\", address = \"2001:db8::b\", mtu = 1279 }]\n",
     "1:7 warning: pool \"web\" is not used; remove it or refer to it\n"
     "2:55 error: mtu must be between 576 and 9702, not 575\n"
     "3:46 error: mtu must be at least 1280 on the way to an IPv6 backend, not 1279\n"},

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
     "8:11 error: unserved differs from VIP \"v\", but 192.0.2.1 has one rule for all its services; make both equal\n"},
    {"vip_echo_differs",
     POOL "[vip.v]\naddress = \"192.0.2.0/24\"\nport = 80\npool = \"web\"\necho = \"healthy\"\n"
          "[vip.w]\naddress = [\"192.0.2.0/24\", \"192.0.2.0/25\"]\nport = 81\npool = \"web\"\n",
     "9:12 error: echo differs from VIP \"v\", but 192.0.2.0/24 has one rule for all its services; make both equal\n"},
    {"vip_is_a_backend", POOL "[vip.v]\naddress = \"10.0.0.2\"\nport = 80\npool = \"web\"\n",
     "4:11 error: VIP \"v\" has 10.0.0.2, the address of backend \"web/b\", and packets sent there would come back; "
     "give "
     "one of them another address\n"},
    {"vip_covers_others",
     "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nsource_addresses = [\"192.0.2.1\"]\n"
     "ipip_source_prefixes = [\"198.18.1.0/24\", \"2001:db8:1::/64\"]\n" POOL
     "[vip.v]\naddress = [\"192.0.2.0/24\", \"198.18.0.0/15\",\n\"2001:db8:1::7\", \"2001:db8:1:1::/64\"]\n"
     "port = \"any\"\npool = \"web\"\n"
     "[bgp]\nnext_hop4 = \"192.0.2.255\"\nnext_hop6 = \"2001:db8:1:1::7\"\n",
     "9:12 error: VIP \"v\" has 192.0.2.1, a source address of port \"b\", and packets sent there would come back; "
     "give one "
     "of them another address\n"
     "9:12 error: VIP \"v\" has 192.0.2.255, the next_hop4 of bgp, and packets sent there would come back; give one of "
     "them another address\n"
     "9:28 error: VIP \"v\" has 198.18.1.0/24, a source prefix of port \"b\", and packets sent there would come back; "
     "give "
     "one of them another address\n"
     "10:1 error: VIP \"v\" has 2001:db8:1::/64, a source prefix of port \"b\", and packets sent there would come "
     "back; "
     "give one of them another address\n"
     "10:18 error: VIP \"v\" has 2001:db8:1:1::7, the next_hop6 of bgp, and packets sent there would come back; give "
     "one "
     "of them another address\n"},
    {"vip_beside_others",
     "[[dataplane.port]]\nname = \"b\"\ndevice = \"d\"\nsource_addresses = [\"192.0.3.1\"]\n"
     "ipip_source_prefixes = [\"198.18.1.0/24\", \"2001:db8:1::/64\"]\n" POOL
     "[vip.v]\naddress = [\"192.0.2.0/24\", \"198.18.0.0/24\", \"198.18.2.0/24\", \"2001:db8:0:ffff::/64\",\n"
     "\"2001:db8:1:1::/64\"]\nport = \"any\"\npool = \"web\"\n",
     ""},
    {"vip_prefix_with_bits_behind",
     POOL "[vip.v]\naddress = [\"192.0.2.1/24\", \"192.0.2.0/33\", \"192.0.2.0/\"]\nport = 80\npool = \"web\"\n",
     "4:12 error: address \"192.0.2.1/24\" has bits set behind its prefix; write 192.0.2.0/24, or 192.0.2.1 for one "
     "address\n"
     "4:28 error: address \"192.0.2.0/33\" has no prefix length from 0 to 32 behind its slash\n"
     "4:44 error: address \"192.0.2.0/\" has no prefix length from 0 to 32 behind its slash\n"},
    {"vip_port", POOL "[vip.v]\naddress = \"192.0.2.1\"\nport = \"all\"\npool = \"web\"\n",
     "5:8 error: port must be a number from 1 to 65535 or \"any\", not \"all\"\n"},
    {"vip_port_0", POOL "[vip.v]\naddress = \"192.0.2.1\"\nport = 0\npool = \"web\"\n",
     "5:8 error: port must be between 1 and 65535, not 0\n"},
    {"vip_udp_and_quic",
     POOL "[vip.v]\naddress = \"192.0.2.1\"\nport = 443\npool = \"web\"\nprotocol = [\"udp\", \"quic\"]\n",
     "7:12 error: protocol has both \"udp\" and \"quic\"; keep one\n"},
    {"vip_quic_twice",
     POOL "[vip.v]\naddress = \"192.0.2.1\"\nport = \"any\"\npool = \"web\"\nprotocol = \"udp\"\n"
          "[vip.w]\naddress = \"192.0.2.1\"\nport = \"any\"\npool = \"web\"\nprotocol = \"quic\"\n",
     "9:11 error: VIP \"v\" (line 11) has 192.0.2.1:any udp already; quic is udp on the wire, so keep one\n"
     "12:12 error: protocol \"quic\" needs a pool whose backends connection IDs name, and pool \"web\" has no quic; "
     "add "
     "[pool.web.quic] or write \"udp\"\n"},
    {"vip_tcp_and_udp_in_two_pools",
     POOL "[pool.other]\n" BACKENDS
          "\n[vip.v]\naddress = \"192.0.2.1\"\nport = 53\npool = \"web\"\nprotocol = \"tcp\"\n"
          "[vip.w]\naddress = \"192.0.2.1\"\nport = 53\npool = \"other\"\nprotocol = \"udp\"\n",
     ""},
    {"vip_policy",
     POOL "[vip.v]\naddress = \"192.0.2.1\"\nport = 53\npool = \"web\"\necho = \"no\"\nno_backend = \"kernel\"\n"
          "unserved = \"rejct\"\n",
     "7:8 error: echo must be \"answer\", \"healthy\" or \"drop\", not \"no\"\n"
     "8:14 error: no_backend must be \"drop\" or \"reject\", not \"kernel\"\n"
     "9:12 error: unserved must be \"drop\", \"kernel\" or \"reject\", not \"rejct\"; did you mean \"reject\"?\n"},
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
    {"bgp_addresses_of_no_host", "[bgp]\npeer = \"0.0.0.0\"\nsource = \"224.0.0.1\"\nrouter_id = \"255.255.255.255\"\n",
     "2:8 error: peer must be a unicast address, but 0.0.0.0 is in 0.0.0.0/8, which names no host\n"
     "3:10 error: source must be a unicast address, but 224.0.0.1 is a multicast address\n"
     "4:13 error: router_id must be a unicast address, but 255.255.255.255 is the broadcast address\n"},
    {"bgp_addresses_of_no_host_ipv6", "[bgp]\npeer = \"::\"\nsource = \"ff02::1\"\nrouter_id = \"0.0.0.0\"\n",
     "2:8 error: peer must be a unicast address, but :: is the unspecified address\n"
     "3:10 error: source must be a unicast address, but ff02::1 is a multicast address\n"
     "4:13 error: router_id must be a unicast address, but 0.0.0.0 is in 0.0.0.0/8, which names no host\n"},
    {"bgp_addresses_of_this_host", "[bgp]\npeer = \"127.0.0.1\"\nsource = \"169.254.0.1\"\nrouter_id = \"127.0.0.2\"\n",
     ""},
    {"bgp_addresses_of_this_host_ipv6", "[bgp]\npeer = \"::1\"\nsource = \"fe80::1\"\n", ""},
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
    {"tables_memory_too_small", "[control]\ntables_memory = \"1MiB\"\n" SLOTS("1048573") USED,
     "2:17 error: tables_memory is 1MiB, but these pools, backends and VIPs take up to 3MiB; write tables_memory = "
     "\"3MiB\"\n"},
    {"tables_memory_without_histories", "[control]\ntables_memory = \"3MiB\"\n" SLOTS("1048573") USED,
     "2:17 warning: tables_memory is 3MiB, but with the history of slots that have moved the tables take up to 11MiB; "
     "where it does not fit it is left out, and connections of such slots break; write tables_memory = \"11MiB\"\n"},
    {"tables_memory_enough", "[control]\ntables_memory = \"11MiB\"\n" SLOTS("1048573") USED, ""},
};

class EachMistake : public testing::TestWithParam<Mistake> {};

TEST_P(EachMistake, IsNamedExactly) {
  EXPECT_EQ(problems_of(GetParam().text), GetParam().problems);
}

INSTANTIATE_TEST_SUITE_P(, EachMistake, testing::ValuesIn(kMistakes),
                         [](const auto& mistake) { return mistake.param.name; });

TEST(Mistakes, EmptyFileMissesWhatIsNeeded) {
  EXPECT_EQ(summary(load_config_text("", "f")),
            "0:0 error: missing key worker_cores in dataplane\n"
            "0:0 error: missing key port in dataplane\n"
            "0:0 warning: no flow_hash.key_file: the flow hash key is a published one, fit for labs only\n"
            "1:1 error: missing key schema at the top level; begin with schema = 1\n");
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

TEST(Mistakes, VipPrefixesThatHoldSuchAddresses) {
  constexpr AddressCase kCases[] = {
      {"203.0.113.0/24", nullptr},
      {"64.0.0.0/3", nullptr},
      {"203.0.113.7/32", nullptr},
      {"2001:db8::/32", nullptr},
      {"2000::/3", nullptr},
      {"0.0.0.0/0", "255.255.255.255 in 0.0.0.0/0 is the broadcast address"},
      {"126.0.0.0/7", "127.0.0.0 in 126.0.0.0/7 is a loopback address"},
      {"127.1.0.0/16", "127.1.0.0 in 127.1.0.0/16 is a loopback address"},
      {"169.254.0.0/15", "169.254.0.0 in 169.254.0.0/15 is a link-local address"},
      {"192.0.0.0/2", "255.255.255.255 in 192.0.0.0/2 is the broadcast address"},
      {"::/0", ":: in ::/0 is the unspecified address"},
      {"fc00::/6", "ff00:: in fc00::/6 is a multicast address"},
      {"ff02::/64", "ff02:: in ff02::/64 is a multicast address"},
  };
  for (const auto& [prefix, why] : kCases) {
    const std::string text = std::string(POOL) + "[vip.v]\nport = 80\npool = \"web\"\naddress = \"" + prefix + "\"\n";
    const std::string expected =
        why == nullptr ? "" : std::string("6:11 error: address must hold unicast addresses only, but ") + why + "\n";
    EXPECT_EQ(problems_of(text), expected) << prefix;
  }
  EXPECT_EQ(problems_of(POOL "[vip.v]\nport = 80\npool = \"web\"\naddress = \"::ffff:192.0.2.0/24\"\n"),
            "6:11 error: address is the IPv4-mapped \"::ffff:192.0.2.0/24\"; write \"192.0.2.0/24\"\n");
}

}  // namespace
}  // namespace guideway::config
