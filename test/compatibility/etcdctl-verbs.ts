/** What users type: the verbs of etcdctl as a table of command lines, and how their outputs are compared. */

import type { EtcdVersion } from "./etcd-programs.ts";

export type Step = {
  /** Separated by spaces; `'...'` holds spaces together. `{NAME}` stands for what an earlier step has kept. */
  readonly line: string;
  readonly input?: string;
  /** Of the output: its first group is kept under the name. */
  readonly keep?: { readonly name: string; readonly from: RegExp };
  /** The command runs until it is stopped: it is interrupted once its output matches this; later output is ignored. */
  readonly until?: RegExp;
  /** The versions of etcd whose output differs, as docs/etcd-differences.md describes. */
  readonly differsFrom?: readonly EtcdVersion[];
};

const leaseGrant = { name: "lease", from: /lease ([0-9a-f]+) granted/ };

export const keyValueSteps: readonly Step[] = [
  { line: "put a 1" },
  { line: "put a 2 --prev-kv" },
  { line: "put b 'two words'" },
  { line: "put from-input", input: "read from standard input" },
  { line: "put a --ignore-value" },
  { line: "put a x --ignore-value" },
  { line: "put nothing --ignore-value" },
  { line: "put a 1 --lease=123" },
  { line: "put '' x" },
  { line: "put" },
  { line: "get a" },
  { line: "get a -w json" },
  { line: "get a -w fields" },
  { line: "get a --hex" },
  { line: "get a --rev=2" },
  { line: "get a --rev=1000" },
  { line: "get '' --prefix" },
  { line: "get '' --from-key --limit=2" },
  { line: "get a c" },
  { line: "get a c --order=DESCEND --sort-by=VERSION" },
  { line: "get '' --prefix --keys-only" },
  { line: "get '' --prefix --count-only" },
  { line: "get '' --prefix --count-only -w fields" },
  { line: "get a --print-value-only" },
  { line: "get a --consistency=s" },
  { line: "get a --consistency=x" },
  { line: "get a --order=SIDEWAYS" },
  { line: "get a b --prefix" },
  { line: "get missing" },
  { line: "endpoint hashkv -w json" },
  { line: "endpoint hashkv --rev=3" },
  { line: "txn", input: 'value("a") = "2"\n\nput t 1\nget a\n\nput t 2\n\n' },
  { line: "txn", input: 'version("a") > "100"\n\nput t 1\n\nget a\ndel b\n\n' },
  { line: "txn -w json", input: 'mod("a") > "0"\n\nput t 3\n\n\n' },
  { line: "txn", input: "nonsense\n\n" },
  { line: "txn", input: "\nput t 1\nput t 2\n\n\n" },
  { line: "watch a --rev=1", until: /PUT\na\n1\nPUT\na\n2\nPUT\na\n2\n/ },
  { line: "watch a --rev=2 --prev-kv -w json", until: /prev_kv.*\n/ },
  { line: "watch -i", input: "watch a --rev=1\nnonsense\n", until: /PUT\na\n1\nPUT\na\n2\nPUT\na\n2\n/ },
  { line: "del b --prev-kv" },
  { line: "del b" },
  { line: "del '' --prefix" },
  { line: "del a c --from-key" },
  { line: "compaction 5" },
  { line: "compaction 5" },
  { line: "compaction 1000" },
  { line: "compaction x" },
  { line: "compaction 6 --physical" },
  { line: "get a --rev=2" },
  { line: "watch a --rev=1", until: /compacted\n|canceled\n/ },
];

export const leaseSteps: readonly Step[] = [
  { line: "lease grant 600", keep: leaseGrant },
  { line: "put leased 1 --lease={lease}" },
  { line: "get leased -w fields" },
  { line: "lease timetolive {lease} --keys" },
  { line: "lease list" },
  { line: "get leased --keys-only -w json", differsFrom: ["3.7"] },
  { line: "lease keep-alive {lease} --once" },
  { line: "lease keep-alive {lease}", until: /keepalived.*\n/ },
  { line: "lease revoke {lease}" },
  { line: "get leased" },
  { line: "lease timetolive {lease}" },
  { line: "lease revoke {lease}" },
  { line: "lease keep-alive {lease}" },
  { line: "lease grant 0" },
  { line: "lease grant x" },
  { line: "lease grant 99999999999" },
  { line: "lock name", until: /name\/[0-9a-f]+\n/ },
  { line: "lock name echo held" },
  { line: "lock name --ttl=5 false" },
  { line: "elect post me", until: /post\/[0-9a-f]+\nme\n/ },
  { line: "elect post --listen me" },
];

export const operatorSteps: readonly Step[] = [
  { line: "endpoint health" },
  { line: "endpoint health -w json" },
  { line: "endpoint health --cluster" },
  { line: "endpoint status" },
  { line: "endpoint status -w json" },
  { line: "endpoint status -w table" },
  { line: "endpoint status -w fields" },
  { line: "member list" },
  { line: "member list -w table" },
  { line: "member list -w json" },
  { line: "member add other" },
  { line: "member add other --peer-urls=nonsense" },
  { line: "member remove 123456789abcdef0" },
  { line: "member remove x" },
  { line: "member update 123456789abcdef0 --peer-urls=http://127.0.0.1:1" },
  { line: "member promote 123456789abcdef0" },
  { line: "alarm list" },
  { line: "alarm disarm" },
  { line: "defrag" },
  { line: "defrag --cluster" },
  { line: "move-leader 123456789abcdef0" },
  { line: "move-leader" },
  { line: "snapshot save {directory}/saved.db" },
  { line: "snapshot save" },
  { line: "downgrade validate 2.0.0" },
  { line: "downgrade cancel", differsFrom: ["3.6", "3.7"] },
  { line: "version" },
  { line: "nonsense" },
];

export const userSteps: readonly Step[] = [
  { line: "auth status" },
  { line: "auth enable" },
  { line: "user add root:secret" },
  { line: "user add ann:pw" },
  { line: "user add ann:pw" },
  { line: "user add cert --no-password" },
  { line: "user add typed --interactive=false", input: "typed's\n" },
  { line: "user list" },
  { line: "role add staff" },
  { line: "role add staff" },
  { line: "role grant-permission staff readwrite staff/ --prefix" },
  { line: "role grant-permission staff read notice" },
  { line: "role grant-permission staff nonsense notice" },
  { line: "role grant-permission nobody read notice" },
  { line: "role get staff" },
  { line: "role get staff -w json" },
  { line: "role get nobody" },
  { line: "role list" },
  { line: "user grant-role root root" },
  { line: "user grant-role ann staff" },
  { line: "user grant-role ann nothing" },
  { line: "user get ann" },
  { line: "user get ann --detail" },
  { line: "user get ann -w json" },
  { line: "user get bob" },
  { line: "auth enable" },
  { line: "--user=root:secret auth status" },
  { line: "get notice" },
  { line: "--user=ann:wrong get notice" },
  { line: "--user=ann:pw get notice" },
  { line: "--user=ann:pw put notice 1" },
  { line: "--user=ann:pw put staff/a 1" },
  { line: "--user=ann:pw get --prefix staff/" },
  { line: "--user=ann:pw get --prefix s" },
  { line: "--user=ann:pw user list" },
  { line: "--user=ann:pw member list" },
  { line: "--user=ann:pw endpoint status" },
  { line: "--user=ann:pw endpoint health" },
  { line: "--user=ann:pw compaction 1" },
  { line: "--user=ann:pw snapshot save {directory}/not-allowed.db", differsFrom: ["3.5"] },
  { line: "--user=ann --password=pw get staff/a" },
  { line: "--user=root:secret user passwd ann --interactive=false", input: "new\n" },
  { line: "--user=ann:pw get staff/a" },
  { line: "--user=ann:new get staff/a" },
  { line: "--user=root:secret role revoke-permission staff notice" },
  { line: "--user=root:secret role revoke-permission staff staff/ --prefix" },
  { line: "--user=root:secret user revoke-role ann staff" },
  { line: "--user=root:secret role delete staff" },
  { line: "--user=root:secret user delete ann" },
  { line: "--user=root:secret user delete root" },
  { line: "--user=root:secret auth disable" },
  { line: "auth status" },
];

/** The words of a line, with the kept values filled in. */
export function wordsOf(line: string, kept: Readonly<Record<string, string>>): string[] {
  return [...line.matchAll(/'([^']*)'|[^ ]+/g)].map(([word, quoted]) =>
    (quoted ?? word).replace(/\{(\w+)\}/g, (_, name: string) => kept[name] ?? `no ${name}`),
  );
}

const unlike: readonly (readonly [RegExp, string])[] = [
  // The client's log lines: time, place in its source.
  [/^\{"level".*\n?/gm, ""],
  [/\d{4}-\d\d-\d\dT[\d:.+Z-]+/g, "TIME"],
  [/https?:\/\/127\.[\d.]+:\d+/g, "URL"],
  [/127\.[\d.]+:\d+/g, "ADDRESS"],
  [/\b[0-9a-f]{13,16}\b/g, "ID"],
  [
    /"(cluster_id|member_id|raft_term|ID|leader|raftIndex|raftTerm|raftAppliedIndex|dbSize|dbSizeInUse|dbSizeQuota|watch_id)":\d+/g,
    '"$1":#',
  ],
  [
    /"(ClusterID|MemberID|RaftTerm|Lease|Leader|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse|DBSizeQuota|ID)" : \d+/g,
    '"$1" : #',
  ],
  [/"lease":\d{2,}/g, '"lease":#'],
  [/"took":"[^"]*"/g, '"took":"#"'],
  [/\b3\.\d+\.\d+\b/g, "VERSION"],
  [/\b\d+(\.\d+)? ?[kMG]?B\b/g, "SIZE"],
  [/\d+(\.\d+)?(ms|µs|s)\b/g, "DURATION"],
  [/remaining\(\d+s?\)/g, "remaining(#)"],
  // The unused part of the database file, and the number of log entries.
  [/\b\d+%/g, "PART"],
  [/(true|false), \d+, \d+, \d+,/g, "$1, TERM, INDEX, INDEX,"],
  // A column is as wide as its longest text: one id in sixteen is a digit shorter.
  [/(?<=^[+┌├└].*)[-─]{2,}/gm, "-"],
  [/(?<=^[|│].*) {2,}/gm, " "],
  [/(PART|SIZE|TERM|VERSION|ID|ADDRESS|URL) +(?=[|│])/g, "$1 "],
  [/ +(?=PART|SIZE|VERSION|ID\b)/g, " "],
  [/([|│]) +\d+ ([|│]) +\d+ ([|│]) +\d+ (?=[|│])/g, "$1 TERM $2 INDEX $3 INDEX "],
  [/\/tmp\/[^ "\n]*\//g, "DIRECTORY/"],
];

/** An output without what differs between two correct servers. */
export function comparable(output: string): string {
  return unlike.reduce((text, [pattern, instead]) => text.replace(pattern, instead), output);
}
