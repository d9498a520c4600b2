/** The host's end of a session: carries out requests until standard input ends, many at once. */
import type { Readable, Writable } from "node:stream";
import type { HostArguments, HostCallName, HostCalls, HostRequest, HostResults } from "../host/host-calls.ts";
import { answerOfError, decodeRequest, encodeAnswer, hostProtocol, lineBytesMax } from "../host/host-protocol.ts";
import { splitLines } from "../host/split-lines.ts";

export type HostSession = {
  readonly calls: HostCalls;
  readonly input: Readable;
  readonly output: Writable;
  readonly version: string;
};

/**
 * Resolves once standard input has ended and every call that was begun has.
 * @throws HaplanError `provider/bad-request` or `provider/line-too-long` for input that is no request: calls under way finish first
 */
export async function serveHost({ calls, input, output, version }: HostSession): Promise<void> {
  // The other side has gone: nothing is left to tell it, and calls under way finish all the same.
  output.on("error", () => undefined);
  output.write(`${JSON.stringify({ protocol: hostProtocol, version, pid: process.pid })}\n`);
  const running = new Set<Promise<void>>();
  try {
    for await (const line of splitLines(input, lineBytesMax)) {
      const request = decodeRequest(line);
      const call = answer(calls, request).then((text) => void output.write(text));
      running.add(call);
      void call.finally(() => running.delete(call));
    }
  } finally {
    await Promise.all(running);
  }
}

async function answer(calls: HostCalls, request: ReturnType<typeof decodeRequest>): Promise<string> {
  try {
    if ("rejected" in request) throw request.rejected;
    return encodeAnswer({ id: request.id, result: await carryOut(calls, request) });
  } catch (error) {
    return encodeAnswer(answerOfError(request.id, error));
  }
}

type Callable = {
  readonly [Call in HostCallName]: (...given: HostArguments[Call]) => Promise<HostResults[Call]>;
};

function carryOut<Call extends HostCallName>(calls: Callable, request: HostRequest<Call>): Promise<HostResults[Call]> {
  const act: Callable[Call] = calls[request.call];
  return act(...request.arguments);
}
