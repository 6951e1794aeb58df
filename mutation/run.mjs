/**
 * `npm run mutation`: changes the code in small ways and sees whether a test fails for each. `npm run mutation -- pool` does it for one
 * of the groups only; what follows is given to Stryker (`npm run mutation -- pool --mutate src/internal/pool/CoDel.ts`).
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { argv, execPath, exit } from "node:process"
import { fileURLToPath } from "node:url"

const groups = ["pool", "levels", "codes", "session", "transactions", "requests"]
const stryker = fileURLToPath(new URL("node_modules/@stryker-mutator/core/bin/stryker.js", import.meta.url))
const root = fileURLToPath(new URL("..", import.meta.url))

if (!existsSync(stryker)) {
  console.error("Stryker is installed apart: npm ci --prefix mutation")
  exit(1)
}

const [asked, ...others] = argv.slice(2)
const isGroup = asked !== undefined && groups.includes(asked)
const args = isGroup || asked === undefined ? others : [asked, ...others]
const results = (isGroup ? [asked] : groups).map((group) =>
  spawnSync(execPath, [stryker, "run", `mutation/${group}.mjs`, ...args], { cwd: root, stdio: "inherit" }).status
)
exit(results.every((status) => status === 0) ? 0 : 1)
