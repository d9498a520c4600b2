// Bundles the programs of cmd/ to dist/, which is all that is published. An agent that reads some 600 modules burns most of a
// second of CPU before it serves. dist/ is made from scratch, so that a file removed from the sources never lingers in it.
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundlePrograms } from "./bundle-programs.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
rmSync(`${root}/dist`, { recursive: true, force: true });
await bundlePrograms({ root, programs: readdirSync(`${root}/cmd`), into: `${root}/dist/cmd` });
