/**
 * Runs the tests on every supported version of Node, one after the other: all of them on this machine's Node; on 24 those of the
 * drivers, of an installation, of what stands beside other packages, and all that are quick; the quickstart, and the suites of
 * SQLite, of PostgreSQL and of the examples, on 22 (without the examples) and 26; SQLite's without better-sqlite3; and those of the
 * edition for Effect 4, which run on 24, too. `npm run test:node -- 24` runs all of them on 24.
 * Ends with the sum of all runs: `N passed, N failed, N skipped`.
 *
 * A version that cannot be had (npm reaches no registry) is a failed run: nothing is passed over.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

const here = process.versions.node.split(".")[0]

/** What the compiler, npm, the documents and the command line say, which is the same on every version of Node. */
const compiled = [
  "test/types/**",
  "test/benchmark/**",
  "test/documents.test.ts",
  "test/package/{drivers,examples,firstHour,init,package}.test.ts",
  "test/check/**",
  "test/cli/**"
]

/** What servers make of each other's failures, or what stands between; the shortest of these suites takes a minute. */
const ofServers = [
  ...["test/failover/**", "test/replicas/**"],
  ...["test/conformance/pgbouncer.test.ts", "test/driver/mssql/serverByUrl.test.ts"]
]

/** What those of the edition, which run on Node 24, too, have as well. The examples run on 26, besides. */
const ofEdition = [
  ...["test/migrator/**", "test/dbtest/**", "test/examples.test.ts", "test/exampleService.test.ts"],
  ...["test/databases/**", "test/outcome/**", "test/retry/**", "test/weight/minorCollections.test.ts"],
  ...["test/engine/**", "test/http/**", "test/time/**", "test/values/**", "test/conformance/{pg,mysql,mssql}.test.ts"]
]

const runs = [
  { name: `Node ${process.versions.node}, all`, args: ["node_modules/vitest/vitest.mjs", "run"] },
  ...(here === "24" ? [] : [{
    name: "Node 24, all but what is the same there, or runs there in the edition",
    args: [
      "scripts/testNode.mjs",
      "24",
      ...[...compiled, ...ofServers, ...ofEdition].flatMap((files) => ["--exclude", files])
    ]
  }]),
  {
    name: "Node 22, in short, without the examples",
    args: ["scripts/testNode.mjs", "22", "--quick", "--exclude", "test/examples.test.ts"]
  },
  { name: "Node 26, in short", args: ["scripts/testNode.mjs", "26", "--quick"] },
  { name: "Node 26, node:sqlite", args: ["scripts/testNode.mjs", "26", "--quick", "--sqlite", "node"] },
  { name: "Effect 4, on Node 24", args: ["scripts/testNode.mjs", "24", "--edition"] }
]

/** The counts of a run's closing line; a run that ends without one, or ends badly after a good one, has failed. */
const countsOf = (output, code) => {
  const lines = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)]
  const [, passed = 0, failed = 0, skipped = 0] = (lines.at(-1) ?? []).map(Number)
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed, skipped: Number.isNaN(skipped) ? 0 : skipped }
}

const run = (args) =>
  new Promise((resolve) => {
    let tail = ""
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] })
    child.stdout.setEncoding("utf8")
    child.stdout.on("data", (text) => {
      process.stdout.write(text)
      // The closing line is the last one.
      tail = (tail + text).slice(-2000)
    })
    child.on("error", () => resolve(countsOf("", 1)))
    child.on("close", (code) => resolve(countsOf(tail, code ?? 1)))
  })

const sum = { passed: 0, failed: 0, skipped: 0 }
const told = []
for (const { args, name } of runs) {
  process.stdout.write(`\n== ${name}\n`)
  const started = performance.now()
  const counts = await run(args)
  for (const key of Object.keys(sum)) sum[key] += counts[key]
  const minutes = ((performance.now() - started) / 60_000).toFixed(1)
  told.push(
    `${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, in ${minutes} minutes`
  )
}
process.exitCode = sum.failed === 0 ? 0 : 1
process.stdout.write(`\n${told.join("\n")}\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`)
