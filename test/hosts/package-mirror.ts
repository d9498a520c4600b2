/** A package mirror for test hosts, which reach no other one: some packages with what they need, served on the hosts' network. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";

export type PackageMirror = {
  /** A line for /etc/apt/sources.list. */
  readonly source: string;
  /** Requests of hosts so far. */
  readonly requests: () => number;
  close(): Promise<void>;
};

/** `root` is the file tree of a host: what it has already is not served. @throws Error where this machine reaches no mirror itself */
export async function servePackages(names: readonly string[], root: string, address: string): Promise<PackageMirror> {
  const directory = await mkdtemp(join(tmpdir(), "haplan-mirror-"));
  const status = `Dir::State::status=${root}/var/lib/dpkg/status`;
  const simulated = await execa("apt-get", ["install", "-s", "--no-install-recommends", "-o", status, ...names]);
  const needed = [...simulated.stdout.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!);
  await execa("apt-get", ["download", ...needed], { cwd: directory });
  const index = await Promise.all((await readdir(directory)).map((file) => stanza(join(directory, file))));
  await writeFile(join(directory, "Packages"), index.join("\n"));
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    const file = createReadStream(join(directory, basename(decodeURIComponent(request.url ?? ""))));
    file.on("error", () => response.writeHead(404).end());
    file.pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    source: `deb [trusted=yes] http://${address}:${portOf(server)}/ ./`,
    requests: () => requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true });
    },
  };
}

async function stanza(file: string): Promise<string> {
  const { stdout } = await execa("dpkg-deb", ["--field", file]);
  const digest = createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
  return `${stdout}\nFilename: ./${basename(file)}\nSize: ${(await stat(file)).size}\nSHA256: ${digest}\n`;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
