/** Two clusters side by side: ours and the real one, sent the same requests by the same rules. */
import { type ClusterFacts, catchUp, closeFacts, learnFacts } from "./conversation.ts";
import type { ClusterProcesses } from "./member-processes.ts";

export type Pair = { readonly ours: ClusterFacts; readonly theirs: ClusterFacts };

/** Close it with `closePair`. */
export async function openPair(ours: ClusterProcesses, theirs: ClusterProcesses): Promise<Pair> {
  const [ourFacts, theirFacts] = await Promise.all([learnFacts(ours.urls), learnFacts(theirs.urls)]);
  return { ours: ourFacts, theirs: theirFacts };
}

export async function closePair({ ours, theirs }: Pair): Promise<void> {
  await Promise.all([closeFacts(ours), closeFacts(theirs)]);
}

/** Which member is next: it has applied everything that the previous one was sent. */
export class Turns {
  readonly #pair: Pair;
  #last = 0;

  constructor(pair: Pair) {
    this.#pair = pair;
  }

  async take(wanted: number): Promise<number> {
    const { ours, theirs } = this.#pair;
    const member = wanted % ours.clients.length;
    if (member !== this.#last) await Promise.all([catchUp(ours, member), catchUp(theirs, member)]);
    this.#last = member;
    return member;
  }
}
