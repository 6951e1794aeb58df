/**
 * Databases for tests: a private one in milliseconds, a sandbox that is rolled back, one that fails on command, or none
 * at all; and what the code under test did with it. Code under test is the same as in production: only the layer differs.
 *
 * @since 0.1.0
 */
export {
  type AssertionOptions,
  countQueries,
  noLeaks,
  record,
  recorded,
  statements,
  statementsOf
} from "./test/assertions.js"

export { type Failure, type Preparation, type Provides, type Rest, type Target } from "./test/prepare.js"

export { pglite, type PgliteOptions } from "./test/pglite.js"

export { postgres, type PostgresOptions } from "./test/postgres.js"

export { rollback, type RollbackOptions, sandboxOf } from "./test/rollback.js"

export { flaky, injected, injectedInto } from "./test/flaky.js"

export { type ConnectFault, type StatementFault } from "./test/faults.js"

export {
  type Expectation,
  mock,
  type MockAnswer,
  MockError,
  type MockOptions,
  type MockStatement
} from "./test/mock.js"

export {
  type Chance,
  type CommitRule,
  type ConnectRule,
  type Injected,
  type OutageRule,
  type Plan,
  type Rule,
  type StatementRule
} from "./test/plan.js"

export { sqlite, type SqliteOptions } from "./test/sqlite.js"

export { LeakError, type RecordedStatement } from "./test/watch.js"
