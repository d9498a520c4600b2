/**
 * The cost of serving: a unary echo with our own framing and with node:http2, alternately, each server in a separate
 * process. Prints requests per second, latency and CPU per request, and the ratio of the two.
 *
 * Usage: node build/bench/serving-path.js [--rounds 2] [--seconds 2]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { GrpcServer } from "../src/raft-agent/grpc/grpc-server.ts";
import { listenForClients } from "../src/raft-agent/http2/client-listener.ts";
import { type LoadResult, runLoad } from "./load-client.ts";

const host = "127.77.13.9";
const path = "/bench.Echo/Unary";
const message = Buffer.alloc(280, 7);
const calls = [{ path, nextMessage: () => message }];
const loads = [
  { streams: 1, connections: 1 },
  { streams: 100, connections: 10 },
  { streams: 1_000, connections: 10 },
  { streams: 100, connections: 100 },
];

type ServerKind = "own" | "node:http2";
type Measured = LoadResult & { readonly serverCpuUs: number };

if (process.argv[2] === "--serve") await serve(process.argv[3] as ServerKind);
else await compare();

async function serve(kind: ServerKind): Promise<void> {
  const port = kind === "own" ? await serveOwn() : await serveNodeHttp2();
  process.on("message", () => process.send?.(process.cpuUsage()));
  process.on("disconnect", () => process.exit(0));
  process.send?.({ port });
}

async function serveOwn(): Promise<number> {
  const server = new GrpcServer({
    methods: [
      {
        kind: "unary",
        path,
        handle: (request, call) => {
          call.send(request);
          call.finish();
        },
      },
    ],
  });
  const listener = await listenForClients({ host, port: 0, onHttp2: (socket) => server.accept(socket) });
  return listener.port;
}

async function serveNodeHttp2(): Promise<number> {
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function measure(kind: ServerKind, load: (typeof loads)[number], durationMs: number): Promise<Measured> {
  const child = fork(fileURLToPath(import.meta.url), ["--serve", kind]);
  try {
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    const cpuUs: number[] = [];
    const result = await runLoad(
      { endpoints: [`${host}:${port}`], calls, ...load, warmupMs: 700, durationMs },
      async () => {
        cpuUs.push(await cpuOf(child));
      },
    );
    return { ...result, serverCpuUs: (cpuUs[1]! - cpuUs[0]!) / Math.max(1, result.requests) };
  } finally {
    child.kill();
  }
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send("cpu");
  const [usage] = (await once(child, "message")) as [NodeJS.CpuUsage];
  return usage.user + usage.system;
}

async function compare(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: "string", default: "2" }, seconds: { type: "string", default: "2" } },
  });
  const durationMs = Number(values.seconds) * 1000;
  for (const load of loads) {
    for (let round = 0; round < Number(values.rounds); round++) {
      const own = await measure("own", load, durationMs);
      const node = await measure("node:http2", load, durationMs);
      print("own", load, own);
      print("node:http2", load, node);
      console.log(
        `  own : node:http2 = ${(own.perSecond / node.perSecond).toFixed(1)} requests/s, ` +
          `${(node.serverCpuUs / own.serverCpuUs).toFixed(1)} less server CPU`,
      );
    }
  }
}

function print(kind: ServerKind, load: (typeof loads)[number], measured: Measured): void {
  const { p50, p99 } = measured.latencyUs;
  console.log(
    `${kind.padEnd(10)} ${load.streams} streams on ${load.connections}: ${Math.round(measured.perSecond)}/s, ` +
      `p50 ${Math.round(p50)} p99 ${Math.round(p99)} µs, server CPU ${measured.serverCpuUs.toFixed(2)} µs, ` +
      `client CPU ${measured.clientCpuUsPerRequest.toFixed(2)} µs, failed ${measured.failed}`,
  );
}
