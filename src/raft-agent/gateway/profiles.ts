/**
 * `/debug/pprof/` with `--enable-pprof`: what the member computes (`profile`) or allocates (`heap`) for a given time,
 * in V8's formats, which browsers' developer tools open. Both sample, so that a member under load keeps serving; a
 * heap profile shows code, not the content of keys and values.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Session } from "node:inspector";
import { errorText } from "../../base/haplan-error.ts";
import { sendMethodNotAllowed, sendText } from "./json-gateway.ts";

const secondsDefault = 30;
const secondsMax = 120;

type Kind = { readonly start: readonly string[]; readonly stop: string; readonly fileName: string };

/** Methods of the inspector's protocol. */
const kinds: Readonly<Record<string, Kind>> = {
  profile: { start: ["Profiler.enable", "Profiler.start"], stop: "Profiler.stop", fileName: "agent.cpuprofile" },
  heap: {
    start: ["HeapProfiler.enable", "HeapProfiler.startSampling"],
    stop: "HeapProfiler.stopSampling",
    fileName: "agent.heapprofile",
  },
};

export type Profiles = (
  path: string,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
) => void;

/** Serves paths below `/debug/pprof/`, one profile at a time. */
export function createProfiles(): Profiles {
  let isBusy = false;
  return (path, query, request, response) => {
    const kind = kinds[path.slice("/debug/pprof/".length)];
    const seconds = Number(query.get("seconds") ?? secondsDefault);
    if (kind === undefined) {
      sendText(response, 404, "Use /debug/pprof/profile?seconds=N or /debug/pprof/heap?seconds=N\n");
    } else if (request.method !== "GET") {
      sendMethodNotAllowed(response, "GET");
    } else if (!(seconds > 0 && seconds <= secondsMax)) {
      sendText(response, 400, `seconds must be a number up to ${secondsMax}\n`);
    } else if (isBusy) {
      sendText(response, 503, "another profile is being taken; try again later\n");
    } else {
      isBusy = true;
      take(kind, seconds * 1_000, response)
        .catch((error: unknown) => sendText(response, 500, `haplan-agent: ${errorText(error)}\n`))
        .finally(() => {
          isBusy = false;
        });
    }
  };
}

/** Ends early when the client disconnects. */
async function take({ start, stop, fileName }: Kind, durationMs: number, response: ServerResponse): Promise<void> {
  const session = new Session();
  session.connect();
  try {
    for (const method of start) await post(session, method);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, durationMs);
      response.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    const { profile } = (await post(session, stop)) as { profile: unknown };
    response.setHeader("Content-Disposition", `attachment; filename="${fileName}"`);
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(profile));
  } finally {
    session.disconnect();
  }
}

function post(session: Session, method: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    session.post(method, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
