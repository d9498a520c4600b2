/** `GET /members` between members: what is sent is read back, and what cannot be read is an error that names it. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { askForCluster, createDirectoryHandler, createNonMemberHandler } from "./cluster-directory.ts";

const host = "127.77.42.10";
const clusterId = "00000000000000cc";
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return `http://${host}:${(server.address() as AddressInfo).port}`;
}

function sending(text: string, id = clusterId): Promise<string> {
  return serve((_, response) => response.setHeader("X-Etcd-Cluster-ID", id).end(text));
}

describe("the members, asked of a peer,", () => {
  it("come back as they were sent", async () => {
    const members = [
      {
        id: "fffffffffffffff1",
        name: "m1",
        peerUrls: ["http://a:2380"],
        clientUrls: ["http://a:2379"],
        learner: false,
      },
      { id: "00000000000000aa", name: "", peerUrls: ["http://b:2380"], clientUrls: [], learner: true },
    ];
    const url = await serve(createDirectoryHandler({ clusterId, version: "3.6.1", members: () => members }));
    expect(await askForCluster([url], null)).toEqual({ clusterId, members });
  });

  it("may have fields that are not known yet, and lack all but the id", async () => {
    const url = await sending('[{"id":"170","later":[1]}]');
    const member = { id: "00000000000000aa", name: "", peerUrls: [], clientUrls: [], learner: false };
    expect((await askForCluster([url], null)).members).toEqual([member]);
  });

  it.each([
    ["{}", /the response is not a list of members/],
    ["[", /JSON/],
    ["[7]", /member 0 of the response has "" as its id/],
    ['[{"id":"170"},{"id":"x"}]', /member 1 of the response has "x" as its id/],
    ['[{"id":"170","peerURLs":"http://a"}]', /member 0 of the response has "http:\/\/a" as its peerURLs/],
    ['[{"id":"170","isLearner":1}]', /member 0 of the response has 1 as its isLearner/],
  ])("are refused as %s, and the error names the field", async (text, expected) => {
    await expect(askForCluster([await sending(text)], null)).rejects.toThrow(expected);
  });

  it("are refused without a cluster id that can be one", async () => {
    await expect(askForCluster([await sending("[]", "another")], null)).rejects.toThrow(/"another" is not hexadecimal/);
  });
});

describe("a caller that the cluster has no member for", () => {
  const cluster = { clusterId, replaces: () => ["00000000000000dd"] };

  it("is told which clusters this one was rebuilt in place of, and no member", async () => {
    const url = await serve(createNonMemberHandler(cluster));
    expect(await askForCluster([url], null)).toEqual({ clusterId, members: [], replaces: ["00000000000000dd"] });
  });

  it("is given the list by another member that knows it", async () => {
    const members = [{ id: "00000000000000aa", name: "m1", peerUrls: [], clientUrls: [], learner: false }];
    const knowing = await serve(createDirectoryHandler({ ...cluster, version: "3.6.1", members: () => members }));
    const urls = [await serve(createNonMemberHandler(cluster)), knowing];
    expect((await askForCluster(urls, null)).members).toEqual(members);
  });
});
