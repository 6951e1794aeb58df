/**
 * The tests that mutants are run against: those that need no server, of which the clock is the test's. Each list is one file for
 * the runner, so that what they all load is loaded once for a mutant.
 */
import * as path from "node:path"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: path.join(import.meta.dirname, ".."),
  test: {
    include: [`mutation/${process.env["MUTATION_TESTS"] ?? "*"}.test.ts`],
    setupFiles: ["mutation/setup.ts"],
    reporters: ["default"],
    silent: true,
    // A mutant that has something wait for ever fails by this.
    testTimeout: 2_000
  }
})
