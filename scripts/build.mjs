// Compiles the sources to dist/ from scratch, so that a file removed from the sources never lingers in a build.
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
rmSync(`${root}/dist`, { recursive: true, force: true });
execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, "-p", `${root}/tsconfig.build.json`], {
  cwd: root,
  stdio: "inherit",
});
for (const command of readdirSync(`${root}/dist/cmd`)) chmodSync(`${root}/dist/cmd/${command}/main.js`, 0o755);
