// The main job as a newcomer meets it: bring up examples/ha-3-masters.yaml, use it through the load balancer, look at it,
// and say how to take it down again.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { text } from "node:stream/consumers";
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

const environment = new Map(
  [...haplan(["output", spec, "-raw", "env"], { capture: true }).matchAll(/^export (\w+)='?([^'\n]*)'?$/gm)].map(
    ([, name, value]) => [name, value],
  ),
);
const read = (name) => readFileSync(environment.get(name));
const endpoint = environment.get("ETCDCTL_ENDPOINTS");
const tls = { ca: read("ETCDCTL_CACERT"), cert: read("ETCDCTL_CERT"), key: read("ETCDCTL_KEY") };

/** A call of etcd's JSON gateway, as curl makes it. */
async function call(path, message) {
  const outgoing = request(new URL(path, endpoint), { method: "POST", agent: false, ...tls });
  outgoing.end(JSON.stringify(message));
  const [answer] = await once(outgoing, "response");
  const body = await text(answer);
  if (answer.statusCode !== 200) throw new Error(`${path} answered ${answer.statusCode}: ${body}`);
  return JSON.parse(body);
}

const base64 = (value) => Buffer.from(value).toString("base64");
const key = "/demo/greeting";
const value = `written ${new Date().toISOString()}`;
const { header } = await call("/v3/kv/put", { key: base64(key), value: base64(value) });
console.log(`\nWrote ${key} through the load balancer ${endpoint} (revision ${header.revision}).`);
const { kvs } = await call("/v3/kv/range", { key: base64(key) });
console.log(`Read  ${key} back: "${Buffer.from(kvs[0].value, "base64")}"`);

haplan(["status", spec]);
console.log(`
The control plane goes on running. Try:
  kill -9 a master's pid from the table above, then
  npx haplan plan ${spec}             what has drifted, and what would be done
  npx haplan apply ${spec}            bring it back
  npx haplan destroy ${spec}          take everything down`);
