import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { sqliteProcess } from "./test/kit/sqliteProcess.js"

export default defineConfig({
  plugins: [sqliteProcess(import.meta.dirname)],
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["./test/kit/globalSetup.ts"],
    setupFiles: ["./test/kit/worker.ts"],
    reporters: ["default", "./test/kit/reporter.ts"],
    // Child processes, not threads: tests change the environment, and native modules end with their process.
    pool: "forks",
    // Tests wait for servers more than they compute, so two run even on a single core; the shared server has
    // connections for four.
    poolOptions: { forks: { minForks: 1, maxForks: Math.min(4, Math.max(2, availableParallelism())) } },
    testTimeout: 30_000,
    hookTimeout: 60_000
  }
})
