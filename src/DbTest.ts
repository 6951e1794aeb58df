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
} from "./internal/test/assertions.js"

export { check, CheckError, type CheckOptions } from "./internal/test/check.js"

export { type CheckReport } from "./internal/check/check.js"

export { type CheckProblem } from "./internal/check/model.js"

export { fromEnv, type FromEnvOptions } from "./internal/test/fromEnv.js"

export { type Failure, type Preparation, type Provides, type Rest, type Target } from "./internal/test/prepare.js"

export { pglite, type PgliteOptions } from "./internal/test/pglite.js"

export { postgres, type PostgresOptions } from "./internal/test/postgres.js"

export { rollback, type RollbackOptions, sandboxOf } from "./internal/test/rollback.js"

export { flaky, injected, injectedInto } from "./internal/test/flaky.js"

export { type ConnectFault, type StatementFault } from "./internal/test/faults.js"

export { type Expectation, type MockAnswer, type MockStatement } from "./internal/test/expectations.js"

export { mock, MockError, type MockOptions } from "./internal/test/mock.js"

export {
  type Chance,
  type CommitRule,
  type ConnectRule,
  type Injected,
  type OutageRule,
  type Plan,
  type Rule,
  type StatementRule
} from "./internal/test/plan.js"

export { sqlite, type SqliteOptions } from "./internal/test/sqlite.js"

export { LeakError, type RecordedStatement } from "./internal/test/watch.js"
