/** A watch stream that stays open during other steps; its messages are kept until they have been compared. */
import type { JsonValue } from "@bufbuild/protobuf";
import type { ClientStream, Metadata } from "../../src/etcd-client/client-stream.ts";
import { type Body, type ClusterFacts, comparable, decode, encode, errorReply, methodOf } from "./conversation.ts";

const watch = methodOf("Watch/Watch");

/**
 * By watcher: only the order within one is guaranteed, and how events are spread over messages is the server's choice.
 */
export type Received = Readonly<Record<string, readonly JsonValue[]>>;

type WatchMessage = {
  readonly watch_id?: string;
  readonly created?: true;
  readonly canceled?: true;
  readonly events?: JsonValue[];
};

export class WatchStream {
  readonly #stream: ClientStream;
  readonly #facts: ClusterFacts;
  #received: Record<string, JsonValue[]> = {};
  #open = true;

  static async open(facts: ClusterFacts, member: number, metadata: Metadata): Promise<WatchStream> {
    return new WatchStream(await facts.clients[member]!.stream(watch.path, { metadata }), facts);
  }

  private constructor(stream: ClientStream, facts: ClusterFacts) {
    this.#stream = stream;
    this.#facts = facts;
    void this.#listen();
  }

  /** After the stream has ended, nothing is sent. */
  async send(request: Body): Promise<void> {
    await this.#stream.send(encode(watch, request, this.#facts)).catch(() => {});
  }

  get received(): Received {
    return this.#received;
  }

  forgetTold(): void {
    this.#received = {};
  }

  cancel(): void {
    this.#open = false;
    this.#stream.cancel();
  }

  async #listen(): Promise<void> {
    try {
      for await (const message of this.#stream) this.#take(comparable(decode(watch, message), this.#facts));
      if (this.#open) this.#note("end", "without an error");
    } catch (error) {
      if (this.#open) this.#note("end", errorReply(error));
    }
  }

  /** Progress is left out: an etcd 3.4 also reports it for watchers that are behind. */
  #take(message: JsonValue): void {
    const { watch_id = "0", created, canceled, events = [] } = message as WatchMessage;
    if (created || canceled) this.#note(watch_id, message);
    for (const event of events) this.#note(watch_id, event);
  }

  #note(lane: string, what: JsonValue): void {
    this.#received[lane] ??= [];
    this.#received[lane].push(what);
  }
}
