/**
 * Runs scripts against members in memory and records what happens. A script line starts with `>`; the lines up to the
 * next one are the expected transcript. Commands:
 *
 *   members N [option=value ...]      N initial members of a cluster; options are `RaftOptions` in ticks and bytes
 *   joiner N                          a member that waits to be added
 *   log N term=T terms=1,2,2          a member that restarts with this log, starting at index 2
 *   campaign N | tick N [TIMES] | persist N | ready N | disconnect N PEER | stall N
 *   deliver FROM->TO [COUNT] | drop FROM->TO [COUNT]     the oldest messages on that link; * matches any member
 *   stabilize [N ...]                 ready, persist and deliver among these members until nothing is left
 *   isolate N ... | heal              messages from and to these members are dropped
 *   crash N                           restarts it with what was durable
 *   propose N WORD ... | read N NUMBER | transfer N TO | compact N INDEX
 *   configure N voters=1,2,3 [learners=4]
 *   status [N ...] | print N          one line for each member | its whole log
 */
import { createRandom } from "../../src/base/random.ts";
import { bootstrapState, joiningState } from "../../src/raft-agent/raft/bootstrap.ts";
import { EntryKind, type MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { RaftEvent } from "../../src/raft-agent/raft/event.ts";
import type { Message } from "../../src/raft-agent/raft/message.ts";
import type { RaftOptions } from "../../src/raft-agent/raft/options.ts";
import type { RestoredState } from "../../src/raft-agent/raft/state.ts";
import { describeEntry, describeMessage, describeReady } from "./describe-ready.ts";
import { describeConfiguration, MemoryMember, memberId, memberNumber } from "./memory-member.ts";

const maxStabilizePasses = 200;

type Command = (words: readonly string[], options: ReadonlyMap<string, string>) => void;

/** Runs every command of `script` and returns the script with an updated transcript. */
export function renderTranscript(script: string): string {
  const transcript = new Transcript();
  const blocks = script.split(/^(?=[>#]|$)/m).map((block) => block.split("\n")[0] ?? "");
  const rendered: string[] = [];
  for (const line of blocks) {
    if (!line.startsWith(">") && !line.startsWith("#")) continue;
    if (line.startsWith("#") && rendered.length > 0 && !rendered.at(-1)?.startsWith("#")) rendered.push("");
    rendered.push(line);
    if (line.startsWith(">")) rendered.push(...transcript.run(line.slice(1).trim()).map((text) => `  ${text}`));
  }
  return `${rendered.join("\n")}\n`;
}

class Transcript {
  readonly #members = new Map<number, MemoryMember>();
  readonly #isolated = new Set<MemberId>();
  #options: Partial<Record<string, number | boolean>> = {};
  #network: Message[] = [];
  #lines: string[] = [];
  #memberCount = 0;

  run(command: string): readonly string[] {
    this.#lines = [];
    const [name = "", ...rest] = command.split(/\s+/);
    const words = rest.filter((word) => !word.includes("="));
    const options = new Map(
      rest.filter((word) => word.includes("=")).map((word) => word.split("=") as [string, string]),
    );
    const action = this.#commands[name];
    if (action === undefined) throw new Error(`Unknown transcript command "${name}"`);
    action(words, options);
    for (const member of this.#members.values()) member.raft.assertInvariants();
    return this.#lines;
  }

  readonly #commands: Readonly<Record<string, Command>> = {
    members: ([count], options) => {
      this.#memberCount = Number(count);
      for (const [name, value] of options) this.#options[name] = value === "false" ? false : Number(value);
      for (let n = 1; n <= this.#memberCount; n += 1) this.#add(n, bootstrapState(this.#memberIds()));
    },
    joiner: ([n]) => this.#add(Number(n), joiningState()),
    log: ([n], options) => this.#restoreLog(Number(n), options),
    campaign: ([n]) => this.#step(n, { kind: "campaign" }),
    stall: ([n]) => this.#step(n, { kind: "diskStalled" }),
    tick: ([n, times]) => {
      for (let i = 0; i < Number(times ?? 1); i += 1) this.#step(n, { kind: "tick" });
    },
    disconnect: ([n, peer]) => this.#step(n, { kind: "peerDisconnected", peer: memberId(Number(peer)) }),
    transfer: ([n, to]) => this.#step(n, { kind: "transferLeadership", to: memberId(Number(to)) }),
    ready: ([n]) => void this.#ready(this.#member(n)),
    persist: ([n]) => void this.#persist(this.#member(n)),
    deliver: ([way, count]) => this.#move(way, count, (message) => this.#deliver(message)),
    drop: ([way, count]) => this.#move(way, count, (message) => this.#log(`lost ${describeMessage(message)}`)),
    stabilize: (words) => this.#stabilize(words.length > 0 ? words.map(Number) : [...this.#members.keys()]),
    isolate: (words) => {
      for (const word of words) this.#isolated.add(memberId(Number(word)));
    },
    heal: () => this.#isolated.clear(),
    crash: ([n]) => {
      const member = this.#member(n);
      member.restart(this.#raftOptions(Number(n)));
    },
    propose: ([n, ...payloads]) => {
      const result = this.#member(n).raft.propose(payloads.map((word) => new TextEncoder().encode(word)));
      if (!result.accepted) this.#log(`rejected: ${result.reason}`);
    },
    read: ([n, context]) => this.#member(n).raft.requestRead(Number(context)),
    compact: ([n, index]) => this.#member(n).compact(Number(index)),
    configure: ([n], options) => this.#configure(n, options),
    status: (words) => {
      for (const n of words.length > 0 ? words.map(Number) : this.#members.keys()) this.#status(n);
    },
    print: ([n]) => {
      const { disk } = this.#member(n);
      this.#log([`${disk.snapshot.index}/${disk.snapshot.term} base`, ...disk.entries.map(describeEntry)].join(", "));
    },
  };

  #restoreLog(n: number, options: ReadonlyMap<string, string>): void {
    const founding = bootstrapState(this.#memberIds());
    const terms = (options.get("terms") ?? "").split(",").filter(Boolean).map(Number);
    const entries = terms.map((term, i) => {
      return { term, index: i + 2, kind: EntryKind.normal, data: new TextEncoder().encode(`${i + 2}@${term}`) };
    });
    const hardState = { ...founding.hardState, term: Number(options.get("term")) };
    this.#add(n, { ...founding, hardState, entries });
  }

  #configure(n: string | undefined, options: ReadonlyMap<string, string>): void {
    const list = (name: string): MemberId[] =>
      (options.get(name) ?? "")
        .split(",")
        .filter(Boolean)
        .map((word) => memberId(Number(word)));
    const target = { voters: list("voters"), learners: list("learners") };
    const result = this.#member(n).raft.proposeConfiguration({ target, context: new Uint8Array(0) });
    if (result.accepted) this.#log(`accepted as entry ${result.index}`);
    else this.#log(["rejected:", result.reason, ...result.lagging.map(memberNumber)].join(" "));
  }

  #stabilize(numbers: readonly number[]): void {
    const members = numbers.map((n) => this.#member(String(n)));
    const ids = new Set(members.map((member) => member.id));
    for (let pass = 0; pass < maxStabilizePasses; pass += 1) {
      let isQuiet = true;
      for (const member of members) if (this.#ready(member)) isQuiet = false;
      for (const member of members) while (this.#persist(member)) isQuiet = false;
      const arriving = this.#network.filter((message) => ids.has(message.to));
      this.#network = this.#network.filter((message) => !ids.has(message.to));
      for (const message of arriving) this.#deliver(message);
      if (isQuiet && arriving.length === 0) return;
    }
    throw new Error("The members do not settle");
  }

  #ready(member: MemoryMember): boolean {
    const ready = member.takeReady();
    if (ready === null) return false;
    for (const line of describeReady(ready)) this.#log(`${memberNumber(member.id)} ${line}`);
    this.#send(ready.messages);
    return true;
  }

  #persist(member: MemoryMember): boolean {
    if (member.unsynced.length === 0) return false;
    this.#send(member.persist());
    return true;
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (!this.#isolated.has(message.from) && !this.#isolated.has(message.to)) this.#network.push(message);
    }
  }

  #deliver(message: Message): void {
    const to = this.#members.get(memberNumber(message.to));
    if (to === undefined || this.#isolated.has(message.to)) return;
    to.step({ kind: "message", message });
    if (message.kind !== "snapshotRequest") return;
    const peer = message.to;
    this.#members.get(memberNumber(message.from))?.step({ kind: "snapshotSent", peer, succeeded: true });
  }

  #move(way: string | undefined, count: string | undefined, act: (message: Message) => void): void {
    const [from, to] = (way ?? "").split("->");
    const matches = (message: Message): boolean =>
      (from === "*" || memberNumber(message.from) === Number(from)) &&
      (to === "*" || memberNumber(message.to) === Number(to));
    const moved = this.#network.filter(matches).slice(0, count === undefined ? undefined : Number(count));
    if (moved.length === 0) throw new Error(`No message is in flight on ${way}`);
    this.#network = this.#network.filter((message) => !moved.includes(message));
    for (const message of moved) act(message);
  }

  #status(n: number): void {
    const { role, term, leader, commitIndex, lastIndex, lastTerm, configuration, peers } = this.#member(
      String(n),
    ).raft.status();
    const follows = leader === null ? "none" : memberNumber(leader);
    const end = `commit ${commitIndex}, log ends ${lastIndex}/${lastTerm}`;
    this.#log(`${n} ${role}, term ${term}, follows ${follows}, ${end}, ${describeConfiguration(configuration)}`);
    for (const [peer, { state, matchIndex, nextIndex }] of peers) {
      this.#log(`  ${memberNumber(peer)}: ${state}, match ${matchIndex}, next ${nextIndex}`);
    }
  }

  #step(n: string | undefined, event: RaftEvent): void {
    this.#member(n).step(event);
  }

  #add(n: number, restored: RestoredState): void {
    this.#members.set(n, new MemoryMember(this.#raftOptions(n), restored));
  }

  #member(n: string | undefined): MemoryMember {
    const member = this.#members.get(Number(n));
    if (member === undefined) throw new Error(`No member ${n}`);
    return member;
  }

  #memberIds(): MemberId[] {
    return Array.from({ length: this.#memberCount }, (_, i) => memberId(i + 1));
  }

  #raftOptions(n: number): RaftOptions {
    return { electionTimeoutTicks: 10, heartbeatTicks: 3, ...this.#options, id: memberId(n), random: createRandom(n) };
  }

  #log(line: string): void {
    this.#lines.push(line);
  }
}
