/** The tests of SQL Server alone, for a run within a run (test/driver/mssql/serverByUrl.test.ts): no other server is started. */
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["test/conformance/mssql.test.ts", "test/driver/mssql/*.test.ts"],
    exclude: ["test/driver/mssql/serverByUrl.test.ts"],
    setupFiles: ["./test/kit/setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    reporters: ["json"],
    // As in the run around it: where much else runs, everything takes its time.
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
