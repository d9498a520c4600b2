// Compiles the sources to dist/ from scratch, so that a file removed from the sources never lingers in a build. The
// programs are bundled then: an agent that reads some 600 modules burns most of a second of CPU before it serves.
import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundlePrograms } from "./bundle-programs.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
rmSync(`${root}/dist`, { recursive: true, force: true });
execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, "-p", `${root}/tsconfig.build.json`], {
  cwd: root,
  stdio: "inherit",
});
await bundlePrograms({ root, programs: readdirSync(`${root}/cmd`), into: `${root}/dist/cmd` });
