/**
 * Lists what was skipped, with the reason, and ends a run with one plain line: `N passed, N failed`, with
 * `, N skipped` where something was. A file that could not be loaded, a failing hook of a suite and an error outside of
 * any test count as failed, so that the line never looks better than the exit code.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from "vitest/node"

const isSkipped = (test: TestCase): boolean => {
  const { state } = test.result()
  return state === "skipped" || state === "pending"
}

/** Name, and why, by a note of the test itself, or by the name of the suite that was skipped. */
const describeSkipped = (test: TestCase): string => {
  const result = test.result()
  const note = result.state === "skipped" ? result.note : undefined
  const file = path.relative(test.project.config.root, test.module.moduleId)
  return `  ${file}: ${test.fullName}${note === undefined ? "" : ` (${note})`}`
}

const failedWithoutTest = (entity: TestModule | TestSuite): number => {
  let failed = entity.errors().length > 0 ? 1 : 0
  for (const suite of entity.children.suites()) failed += failedWithoutTest(suite)
  return failed
}

export default class ClosingLine implements Reporter {
  private passed = 0
  private failed = 0
  private skipped = 0

  onInit(vitest: Vitest): void {
    if (vitest.config.watch) return
    // At the very end: other reporters and the stopping of the server have their say before.
    process.once("exit", (code) => {
      // A run that did not even begin, or whose tear-down failed, has no failed test of its own.
      const failed = code !== 0 && this.failed === 0 ? 1 : this.failed
      const line = `${this.passed} passed, ${failed} failed${this.skipped === 0 ? "" : `, ${this.skipped} skipped`}`
      try {
        fs.writeSync(1, `${line}\n`)
      } catch {
        // The reader has closed the pipe.
      }
    })
  }

  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<unknown>): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const skipped = tests.filter(isSkipped)
    this.passed = tests.filter((test) => test.result().state === "passed").length
    this.skipped = skipped.length
    this.failed = tests.filter((test) => test.result().state === "failed").length +
      modules.reduce((sum, module) => sum + failedWithoutTest(module), 0) + unhandledErrors.length
    if (skipped.length > 0) {
      process.stdout.write(`Skipped:\n${skipped.map(describeSkipped).join("\n")}\n\n`)
    }
  }
}
