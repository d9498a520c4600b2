// Generates src/raft-agent/api/gen from src/raft-agent/api/proto. The compiler and the plugin are npm packages at pinned
// versions, fetched by npx; their binaries come inside the packages, nothing else is downloaded.
// Run it after a change of a .proto file and commit the result.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = ["@bufbuild/buf@1.75.0", "@bufbuild/protoc-gen-es@2.17.0"];
const api = join(dirname(fileURLToPath(import.meta.url)), "..", "src", "raft-agent", "api");

const template = JSON.stringify({
  version: "v2",
  plugins: [{ local: "protoc-gen-es", out: "gen", opt: ["target=ts", "import_extension=ts", "erasable_syntax=true"] }],
});
rmSync(join(api, "gen"), { recursive: true, force: true });
const flags = packages.flatMap((name) => ["--package", name]);
const result = spawnSync("npx", ["--yes", ...flags, "--", "buf", "generate", "proto", "--template", template], {
  cwd: api,
  stdio: "inherit",
});
process.exitCode = result.status ?? 1;
