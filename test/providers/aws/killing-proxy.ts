/** Stands between haplan and the emulator, and kills haplan at a call: before it is passed on, or before its answer is. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Kill = {
  /** The number of the call at which it is killed, counted from 1. */
  readonly at: number;
  readonly when: "before" | "after";
  /** Which calls count. */
  readonly counts: (call: string) => boolean;
  readonly kill: () => void;
};

export class KillingProxy {
  readonly #server: Server;
  readonly #target: URL;
  #kill: Kill | null = null;
  #count = 0;
  /** Nothing of a process that was killed is passed on. */
  #isDead = false;
  /** The call at which it was killed. */
  killedAt: string | null = null;

  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((asked, answer) => {
      this.#pass(asked, answer).catch(() => answer.destroy());
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next process is killed so; null: it is not. */
  arm(kill: Kill | null): void {
    this.#kill = kill;
    this.#count = 0;
    this.#isDead = false;
    this.killedAt = null;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await contentOf(asked);
    const call = callOf(asked, body);
    const kill = this.#kill;
    if (this.#isDead) return void answer.destroy();
    const counts = kill?.counts(call) === true;
    if (counts) this.#count += 1;
    const isTurn = counts && this.#count === kill.at;
    if (isTurn && kill.when === "before") return this.#end(kill, call, answer);
    const { hostname, port } = this.#target;
    const passed = request({ hostname, port, method: asked.method, path: asked.url, headers: asked.headers });
    passed.end(body);
    const reply = await new Promise<IncomingMessage>((resolve, reject) =>
      passed.once("response", resolve).once("error", reject),
    );
    const content = await contentOf(reply);
    if (isTurn) return this.#end(kill, call, answer);
    answer.writeHead(reply.statusCode ?? 500, reply.headers).end(content);
  }

  #end({ kill }: Kill, call: string, answer: ServerResponse): void {
    this.#isDead = true;
    this.killedAt = call;
    kill();
    answer.destroy();
  }
}

async function contentOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** AWS's name of the call. */
function callOf({ headers }: IncomingMessage, body: Buffer): string {
  const target = headers["x-amz-target"];
  if (typeof target === "string") return target.replace(/^.*\./, "");
  return new URLSearchParams(body.toString("utf8")).get("Action") ?? "";
}
