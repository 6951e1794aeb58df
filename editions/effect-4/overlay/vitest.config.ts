import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { notRun } from "./test/kit/notRun.js"
import LongestFirst from "./test/kit/sequencer.js"
import { sqliteProcess } from "./test/kit/sqliteProcess.js"

export default defineConfig({
  plugins: [sqliteProcess(import.meta.dirname)],
  test: {
    include: ["test/**/*.test.ts"],
    exclude: Object.keys(notRun),
    globalSetup: ["./test/kit/globalSetup.ts"],
    setupFiles: ["./test/kit/setup.ts"],
    reporters: ["default", "./test/kit/reporter.ts"],
    silent: "passed-only",
    pool: "forks",
    // The folder of SQLite's process, which the plugin writes into a module, is another one in each run.
    fsModuleCache: false,
    maxWorkers: Math.min(4, availableParallelism() + 1),
    execArgv: ["--max-semi-space-size=32"],
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000
  }
})
