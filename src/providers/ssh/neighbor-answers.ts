/**
 * Which machines of a network segment have an address, asked from a host that may have it itself: by the probes of duplicate
 * address detection (RFC 5227 for IPv4, RFC 4862 for IPv6), which every other machine that has it answers. Pure.
 */

import { canonicalAddress } from "../../base/ip-address.ts";
import { shellWord } from "../../base/shell-word.ts";

/** The MAC addresses that answered for each address that was asked for. */
export type NeighborAnswers = ReadonlyMap<string, readonly string[]>;

/**
 * Asks for all addresses, of one family, at the interface that has `address`, and prints a line for each answer. Prints that it has
 * asked, so that no answer is told from no question. It needs root and perl, a part of every Debian: a shell cannot send such
 * probes. They name no sender, so that no machine changes its table of neighbors.
 */
export function answersScript(address: string, others: readonly string[]): string {
  const asked = [address, ...others].map(shellWord).join(" ");
  return `
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
interface=$(ip -o address show to ${shellWord(address)} | sed -n '1s/^[0-9]*: *\\([^ @]*\\).*/\\1/p')
of=$([ -n "$interface" ] && ip -o link show dev "$interface" | sed -n 's/^\\([0-9]*\\):.*link\\/ether \\([0-9a-f:]*\\).*/\\1 \\2/p')
[ -n "$of" ] && perl -e '${probeProgram}' $of ${asked} 2>/dev/null`;
}

/** Four rounds of 0.4 s: a probe or an answer may be lost. In single quotes of the shell. */
const probeProgram = String.raw`
use strict;
use Socket qw(SOCK_DGRAM AF_INET AF_INET6 inet_pton);
my ($interface, $mac, @asked) = @ARGV;
my $isV6 = $asked[0] =~ /:/;
my %name = map { (inet_pton($isV6 ? AF_INET6 : AF_INET, $_), $_) } @asked;
my ($packets, $type) = (17, $isV6 ? 0x86dd : 0x0806);
my $own = pack("(H2)6", split(/:/, $mac));
my $at = sub { pack("S n i S C C a8", $packets, $type, $interface, 0, 0, length $_[0], $_[0]) };
socket(my $socket, $packets, SOCK_DGRAM, unpack("n", pack("S", $type))) or exit 1;
bind($socket, $at->("")) or exit 1;
sub arp {
  my $probe = pack("nnCCn", 1, 0x0800, 6, 4, 1) . $own . "\0" x 10 . $_[0];
  return ($probe, "\xff" x 6);
}
sub solicitation {
  my $low = substr($_[0], 13);
  my $group = pack("H26", "ff0200000000000000000001ff") . $low;
  my $probe = pack("CCnN", 135, 0, 0, 0) . $_[0];
  my $sum = unpack("%32n*", "\0" x 16 . $group . pack("NN", length $probe, 58) . $probe);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  substr($probe, 2, 2) = pack("n", ~$sum & 0xffff);
  my $header = pack("NnCC", 0x60000000, length $probe, 58, 255) . "\0" x 16 . $group;
  return ($header . $probe, "\x33\x33\xff" . $low);
}
my %answers;
for my $round (1 .. 4) {
  for (keys %name) {
    my ($probe, $to) = $isV6 ? solicitation($_) : arp($_);
    send($socket, $probe, 0, $at->($to)) or exit 1;
  }
  my $left = 0.4;
  while ($left > 0) {
    vec(my $readable = "", fileno($socket), 1) = 1;
    (my $count, $left) = select($readable, undef, undef, $left);
    last if $count < 1;
    my $from = recv($socket, my $data, 2048, 0) or next;
    my ($address, $mac) = (substr($data, 14, 4), substr($data, 8, 6));
    if ($isV6) {
      next if length $data < 64 or substr($data, 6, 1) ne "\x3a" or substr($data, 40, 1) ne "\x88";
      ($address, $mac) = (substr($data, 48, 16), substr($from, 12, 6));
    }
    next if not defined $name{$address} or $mac eq $own;
    $answers{"$name{$address}\t" . join(":", unpack("(H2)6", $mac))} = 1;
  }
}
print "asked\n", map { "answer\t$_\n" } sort keys %answers;`;

/** What `answersScript` printed; null if it could not ask. */
export function parseAnswers(output: string): NeighborAnswers | null {
  const lines = output.split("\n");
  if (!lines.includes("asked")) return null;
  const answers = new Map<string, readonly string[]>();
  for (const line of lines) {
    const [kind, address = "", mac = ""] = line.split("\t");
    if (kind !== "answer") continue;
    const name = canonicalAddress(address);
    answers.set(name, [...(answers.get(name) ?? []), mac]);
  }
  return answers;
}
