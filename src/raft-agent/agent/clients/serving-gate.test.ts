/** The client ports of a member that listens but does not serve yet. */
import { get } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listenForTestClients } from "../../../../test/support/listening-clients.ts";
import { EtcdClient } from "../../../etcd-client/etcd-client.ts";
import { connect as connectGrpc } from "../../../etcd-client/grpc-client.ts";
import type { ClientListeners } from "./client-listeners.ts";

const host = "127.77.42.19";
const [both, http, metricsAlone] = [2379, 2378, 2381];
let front: ClientListeners;

/** `listenHttp`: HTTP has a separate port. */
async function listen(listenHttp: boolean): Promise<void> {
  const flags = [
    `--listen-client-urls=http://${host}:${both}`,
    ...(listenHttp ? [`--listen-client-http-urls=http://${host}:${http}`] : []),
    `--listen-metrics-urls=http://${host}:${metricsAlone}`,
    `--advertise-client-urls=http://${host}:${both}`,
  ];
  front = await listenForTestClients(flags);
}

afterEach(() => front.close());

/** The status of a health check, or "reset". */
function health(port: number): Promise<number | string> {
  return new Promise((resolve) => {
    get({ host: host, port, path: "/health", agent: false }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    }).once("error", () => resolve("reset"));
  });
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

describe.each([
  ["on one port", false],
  ["with HTTP on a separate port", true],
])("a member that does not serve yet, %s", (_, listenHttp) => {
  beforeEach(() => listen(listenHttp));

  it("A20: holds gRPC and HTTP, serves its metrics, and serves what it holds once it is ready", async () => {
    const client = new EtcdClient(connectGrpc({ endpoints: [`http://${host}:${both}`] }), { timeoutMs: 5_000 });
    let answered = 0;
    const count = (): void => void answered++;
    const read = client.range("key", { serializable: true });
    const check = health(listenHttp ? http : both);
    void read.then(count);
    void check.then(count);
    expect(await health(metricsAlone)).toBe(200);
    await pause();
    expect(answered).toBe(0);
    front.serve();
    expect(await check).toBe(200);
    expect((await read).count).toBe(0);
    await client.grpc.close();
  });

  it("A20: drops a client that disconnects, and closes the others when the member stops", async () => {
    const gone = connect({ host: host, port: both });
    gone.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const check = health(listenHttp ? http : both);
    await pause();
    gone.resetAndDestroy();
    await pause();
    await front.close();
    expect(await check).toBe("reset");
    front.serve();
  });
});
