/** Stands between haplan and the emulator, and kills haplan at a call: before it is passed on, or before its answer is. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Kill = {
  /** AWS's name of the call at which it is killed; null: any that changes something. */
  readonly call: string | null;
  /** Which of these calls, counted from 1. */
  readonly number: number;
  readonly when: "before" | "after";
};

/** Of a call that only asks for the permission. */
const tried = "DryRun ";

export function changesSomething(call: string): boolean {
  return !/^(Describe|Get)/.test(call) && !call.startsWith(tried);
}

export class KillingProxy {
  readonly #server: Server;
  readonly #target: URL;
  #kill: Kill | null = null;
  #end: () => void = () => undefined;
  #calls: string[] = [];
  /** Nothing of a process that was killed is passed on. */
  #isDead = false;

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

  /** The next process is ended so; null: it is not. */
  arm(kill: Kill | null, end: () => void): void {
    this.#kill = kill;
    this.#end = end;
    this.#calls = [];
    this.#isDead = false;
  }

  get hasKilled(): boolean {
    return this.#isDead;
  }

  /** The names of the calls since it was armed, in their order. */
  get calls(): readonly string[] {
    return this.#calls;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await contentOf(asked);
    const call = callOf(asked, body);
    if (this.#isDead) return void answer.destroy();
    this.#calls.push(call);
    const kill = this.#kill;
    const counts = (name: string): boolean => (kill?.call == null ? changesSomething(name) : name === kill.call);
    const isTurn = kill !== null && counts(call) && this.#calls.filter(counts).length === kill.number;
    if (isTurn && kill.when === "before") return this.#endAt(answer);
    const { hostname, port } = this.#target;
    const passed = request({ hostname, port, method: asked.method, path: asked.url, headers: asked.headers });
    passed.end(body);
    const reply = await new Promise<IncomingMessage>((resolve, reject) =>
      passed.once("response", resolve).once("error", reject),
    );
    const content = await contentOf(reply);
    if (isTurn) return this.#endAt(answer);
    answer.writeHead(reply.statusCode ?? 500, reply.headers).end(content);
  }

  #endAt(answer: ServerResponse): void {
    this.#isDead = true;
    this.#end();
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
  const parameters = new URLSearchParams(body.toString("utf8"));
  const name = parameters.get("Action") ?? "";
  return parameters.get("DryRun") === "true" ? `${tried}${name}` : name;
}
