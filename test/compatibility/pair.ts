/** Two clusters side by side: ours and the real one, asked the same by the same rules. */
import { type ClusterFacts, catchUp, closeFacts, learnFacts } from "./conversation.ts";
import type { ClusterProcesses } from "./member-processes.ts";

export type Pair = { readonly ours: ClusterFacts; readonly theirs: ClusterFacts };

/** To be closed by `part`. */
export async function meet(ours: ClusterProcesses, theirs: ClusterProcesses): Promise<Pair> {
  const [ourFacts, theirFacts] = await Promise.all([learnFacts(ours.urls), learnFacts(theirs.urls)]);
  return { ours: ourFacts, theirs: theirFacts };
}

export async function part({ ours, theirs }: Pair): Promise<void> {
  await Promise.all([closeFacts(ours), closeFacts(theirs)]);
}

/** Whose turn it is: a member that is asked has heard all that the one before it was told. */
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
