import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import LongestFirst from "./test/kit/sequencer.js"
import { sqliteProcess } from "./test/kit/sqliteProcess.js"

export default defineConfig({
  plugins: [sqliteProcess(import.meta.dirname)],
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["./test/kit/globalSetup.ts"],
    setupFiles: ["./test/kit/setup.ts"],
    reporters: ["default", "./test/kit/reporter.ts"],
    // What a test that passed has written (logs of what it did, its seed) is of no use to anybody.
    silent: "passed-only",
    // Child processes, not threads: tests change the environment, and native modules end with their process.
    pool: "forks",
    // Tests wait for servers and limits for as long as they compute, so one more runs than there are cores; the shared
    // server has connections for four.
    poolOptions: {
      forks: {
        minForks: 1,
        maxForks: Math.min(4, availableParallelism() + 1),
        // A larger young generation saves a twentieth of the time. What looks at the collector has processes of its own.
        execArgv: ["--max-semi-space-size=32"]
      }
    },
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000
  }
})
