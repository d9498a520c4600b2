// The main job as a newcomer meets it: bring up examples/ha-3-masters.yaml, use it through the load balancer with
// haplan's own client, look at it, and say how to take it down again.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const haplanProgram = `${root}dist/cmd/haplan/main.js`;
const spec = "examples/ha-3-masters.yaml";
process.chdir(root);

if (!existsSync(haplanProgram)) {
  console.error("haplan is not built yet: run `npm install` first (it builds), or `npm run build`");
  process.exit(1);
}

/** Runs haplan and ends with its exit code when it fails; returns what it printed when that is captured. */
function haplan(args, { capture = false } = {}) {
  if (!capture) console.log(`\n$ npx haplan ${args.join(" ")}`);
  const run = spawnSync(process.execPath, [haplanProgram, ...args], {
    stdio: ["inherit", capture ? "pipe" : "inherit", capture ? "pipe" : "inherit"],
    encoding: "utf8",
  });
  if (run.status !== 0) {
    if (capture) process.stderr.write(run.stderr);
    process.exit(run.status ?? 1);
  }
  return run.stdout;
}

haplan(["apply", spec, "-auto-approve"]);

const { connect } = await import(`${root}dist/src/etcd-client/grpc-client.js`);
const { EtcdClient } = await import(`${root}dist/src/etcd-client/etcd-client.js`);
const { decodeKeyValue } = await import(`${root}dist/src/raft-agent/api/key-value.js`);
const environment = new Map(
  [...haplan(["output", spec, "-raw", "env"], { capture: true }).matchAll(/^export (\w+)='?([^'\n]*)'?$/gm)].map(
    ([, name, value]) => [name, value],
  ),
);
const read = (name) => readFileSync(environment.get(name));
const endpoint = environment.get("ETCDCTL_ENDPOINTS");
const channel = connect({
  endpoints: [endpoint],
  tls: { ca: read("ETCDCTL_CACERT"), cert: read("ETCDCTL_CERT"), key: read("ETCDCTL_KEY") },
});
const client = new EtcdClient(channel);
const key = "/demo/greeting";
const value = `written ${new Date().toISOString()}`;
const { header } = await client.put(key, value);
console.log(`\nWrote ${key} through the load balancer ${endpoint} (revision ${header.revision}).`);
const { kvs } = await client.range(key);
console.log(`Read  ${key} back: "${Buffer.from(decodeKeyValue(kvs[0]).value)}"`);
await channel.close();

haplan(["status", spec]);
console.log(`
The control plane goes on running. Try:
  kill -9 a master's pid from the table above, then
  npx haplan plan ${spec}             what has drifted, and what would be done
  npx haplan apply ${spec}            bring it back
  npx haplan destroy ${spec}          take everything down`);
