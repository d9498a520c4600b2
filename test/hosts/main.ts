/** `npm run hosts:up -- [COUNT] [bare|complete]` and `npm run hosts:down`: hosts for tests on this machine. */
import { bringUp, missingHostSupport, takeDown } from "./host-set.ts";

const usage = "Usage: npm run hosts:up -- [COUNT] [bare|complete]   or   npm run hosts:down";

async function main([verb, count = "7", image = "complete"]: readonly string[]): Promise<number> {
  const missing = missingHostSupport();
  if (missing !== null) return refuse(`There can be no test hosts here: ${missing}`);
  if (verb === "down") {
    await takeDown();
    return 0;
  }
  const number = Number(count);
  if (verb !== "up" || !Number.isInteger(number) || number < 1 || number > 60) return refuse(usage);
  if (image !== "bare" && image !== "complete") return refuse(usage);
  const { hosts, keyFile, knownHostsFile } = await bringUp(number, image);
  for (const { name, ipv4, ipv6 } of hosts) console.log(`${name} ${ipv4} ${ipv6}`);
  console.log(`ssh -i ${keyFile} -o UserKnownHostsFile=${knownHostsFile} admin@${hosts[0]?.ipv4}`);
  return 0;
}

function refuse(message: string): number {
  console.error(message);
  return 2;
}

process.exitCode = await main(process.argv.slice(2));
