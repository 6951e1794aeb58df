/**
 * Makes the edition with the newest Effect 4 that the registry has, so that a break is seen before users see it: `npm run edition:4:check`.
 * The lock file stays as it is; `npm ci` here brings the packages of the lock file back.
 */
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, "../..")

const run = (args, cwd) => {
  const { status } = spawnSync(process.execPath, args, { cwd, stdio: "inherit" })
  if (status !== 0) {
    process.exit(status ?? 1)
  }
}

if (process.env.npm_execpath === undefined) {
  console.error("run it by npm: npm run edition:4:check")
  process.exit(1)
}
// What the registry calls the latest may be older than the edition's own.
const packages = ["effect@>=4.1.0 <5", "@effect/platform-node@>=4.1.0 <5", "@effect/sql-pg@^4", "@effect/vitest@^4"]
run(
  [process.env.npm_execpath, "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", ...packages],
  here
)
run([path.join(root, "node_modules/tsx/dist/cli.mjs"), path.join(here, "make.ts"), "--tests"], root)
console.log("The edition for Effect 4 can be made with the newest one.")
