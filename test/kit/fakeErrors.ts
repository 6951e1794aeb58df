/** Ready-made errors, for tests without a server. */
import { ConnectionError, QueryError } from "../../src/DbError.js"

export const fakeErrors = {
  refused: new ConnectionError({ what: "refused", reason: "Refused", outcome: "NotSent", database: "default" }),
  authentication: new ConnectionError({
    what: "wrong password",
    reason: "Authentication",
    outcome: "NotSent",
    database: "default"
  }),
  lost: new ConnectionError({ what: "lost", reason: "Lost", outcome: "Unknown", database: "default" }),
  serialization: new QueryError({
    what: "could not serialize access",
    reason: "Serialization",
    outcome: "RolledBack",
    database: "default",
    code: "40001"
  }),
  deadlock: new QueryError({
    what: "deadlock detected",
    reason: "Deadlock",
    outcome: "RolledBack",
    database: "default",
    code: "40P01"
  }),
  unique: new QueryError({
    what: "duplicate key",
    reason: "UniqueViolation",
    outcome: "RolledBack",
    database: "default",
    code: "23505",
    constraint: "fake_key"
  }),
  commitUnknown: new ConnectionError({
    what: "lost between COMMIT and its answer",
    reason: "Lost",
    outcome: "Unknown",
    database: "default"
  })
} as const
