/** Writes the logs of a machine on this host until they end, or standard input does: ssh closes it when haplan ends. */
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { encodeLogEvent, type LogFlags, requestOfFlags } from "../host/log-lines.ts";
import type { Provider } from "../providers/provider.ts";

export type LogSession = {
  readonly provider: Provider;
  readonly flags: LogFlags;
  readonly input: Readable;
  readonly output: Writable;
};

export async function serveLogs({ provider, flags, input, output }: LogSession): Promise<void> {
  const stop = new AbortController();
  for (const event of ["end", "close", "error"]) input.once(event, () => stop.abort());
  output.once("error", () => stop.abort());
  input.resume();
  const { machine, request } = requestOfFlags(flags);
  try {
    for await (const event of provider.logs(machine, request, stop.signal)) {
      if (stop.signal.aborted) break;
      if (!output.write(encodeLogEvent(event))) await once(output, "drain", { signal: stop.signal });
    }
  } catch (error) {
    // Nothing is left to read it.
    if (!stop.signal.aborted) throw error;
  } finally {
    input.destroy();
  }
}
