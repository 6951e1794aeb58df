/** What a client is told of each failure: nothing it must not know, and to try again only where nothing was applied. */
import { assert, describe, it } from "@effect/vitest"
import * as DbError from "../../src/DbError.js"
import * as DbHttp from "../../src/DbHttp.js"

const secret = "SELECT pAssw0rd FROM canary"

const errors = (outcome: DbError.Outcome): ReadonlyArray<DbError.DbError> => {
  const common = { what: secret, outcome, database: "canary", cause: new Error(secret) }
  return [
    ...DbError.ConnectionReason.literals.map((reason) => new DbError.ConnectionError({ ...common, reason })),
    ...DbError.QueryReason.literals.map((reason) =>
      new DbError.QueryError({ ...common, reason, statement: secret, detail: secret, constraint: "canary" })
    ),
    ...DbError.TimeoutPhase.literals.map((phase) =>
      new DbError.TimeoutError({ ...common, phase, limitMillis: 1, statement: secret })
    )
  ]
}

const answer = (error: DbError.DbError) => {
  const { body, headers, status } = DbHttp.toResponse(error)
  const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
  return { status, retryAfter: headers["retry-after"], text }
}

describe("what a client is told of a failure", () => {
  it("holds nothing of the error, for every reason and outcome", () => {
    for (const outcome of DbError.Outcome.literals) {
      for (const error of errors(outcome)) {
        assert.notMatch(
          JSON.stringify(DbHttp.toResponse(error)),
          /canary|pAssw0rd|SELECT/,
          `${error._tag}.${error.reason}`
        )
        assert.notMatch(answer(error).text, /canary|pAssw0rd|SELECT/)
      }
    }
  })

  it("does not ask to send again what may have been applied, nor what would fail again", () => {
    for (const error of errors("Unknown")) {
      assert.strictEqual(answer(error).status, 500, error.reason)
      assert.isUndefined(answer(error).retryAfter, error.reason)
    }
    for (const error of [...errors("NotSent"), ...errors("RolledBack")]) {
      if (answer(error).retryAfter !== undefined) {
        assert.isTrue(DbError.isRetryable(error), error.reason)
      }
    }
  })

  it("is 503 for what is away or busy, 409 for a conflict, 404 for a row that is missing, 500 for the rest", () => {
    const of = (status: number) =>
      errors("RolledBack").filter((error) => answer(error).status === status).map((error) => error.reason)
    assert.includeMembers(of(503), ["Refused", "Overloaded", "Acquire", "Connect", "Statement", "TooManyConnections"])
    assert.deepStrictEqual(of(409), [
      "UniqueViolation",
      "ForeignKeyViolation",
      "ExclusionViolation",
      "Deadlock",
      "Serialization",
      "LockConflict",
      "Lock"
    ])
    assert.deepStrictEqual(of(404), ["NotFound"])
    assert.includeMembers(of(500), ["TooMany", "SqlSyntax", "Authentication", "CommitUnknown", "NotADatabase"])
  })
})
