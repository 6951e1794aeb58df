/** What tests read of the project, beside code and tests. */
const reads = ["!docs", "!docs/errors.md", "!scripts", "!scripts/errors.ts"]

/**
 * How Stryker runs: which tests (`<tests>.test.ts`) mutants of which files meet. Each group is a run of its own, with one test file that
 * loads all that it needs once.
 */
export const settings = (tests, mutate) => {
  process.env["MUTATION_TESTS"] = tests
  return {
    mutate,
    plugins: [
      new URL("node_modules/@stryker-mutator/vitest-runner/dist/src/index.js", import.meta.url).pathname,
      new URL("messages.mjs", import.meta.url).pathname,
      new URL("survivors.mjs", import.meta.url).pathname
    ],
    ignorers: ["messages"],
    testRunner: "vitest",
    vitest: { configFile: "mutation/vitest.config.ts", related: false },
    coverageAnalysis: "perTest",
    checkers: [],
    // One mutant at a time leaves a core for other work: --concurrency has more.
    concurrency: 1,
    timeoutMS: 3_000,
    // Constants of modules are evaluated before any test runs, so that each would meet all tests.
    ignoreStatic: tests !== "codes",
    ignorePatterns: [
      "*",
      "!src",
      "!src/**",
      "!test",
      "!test/**",
      "!mutation",
      "!mutation/*.ts",
      "!package.json",
      ...reads
    ],
    tempDirName: "mutation/.stryker-tmp",
    incremental: true,
    incrementalFile: `mutation/.reports/${tests}.incremental.json`,
    reporters: ["progress-append-only", "survivors", "clear-text", "json", "html"],
    jsonReporter: { fileName: `mutation/.reports/${tests}.json` },
    htmlReporter: { fileName: `mutation/.reports/${tests}.html` },
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    thresholds: { high: 90, low: 85, break: null },
    disableTypeChecks: false
  }
}
