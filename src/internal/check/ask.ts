/**
 * A session of an open database as a check asks it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Database } from "../../Db.js"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { engineOf } from "../database/Database.js"
import { ownRequest } from "../driver/ownRequest.js"
import type { Engine } from "../Engine.js"
import { undescribable } from "../error/engine.js"
import { reserveSession } from "../session/transaction.js"
import type { Asked } from "./catalog.js"

/** Asks the connection. An interrupt drops it: what it was asked cannot be stopped otherwise, and may never be answered. */
const once = <A>(
  connection: Driver.Connection,
  ask: (done: Driver.Done<A>) => void
): Effect.Effect<A, DbError> =>
  Effect.async((resume) => {
    ask((error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(error)))
    return Effect.sync(() => connection.destroy())
  })

/** What the configuration makes of a column's name. */
const renamed = ({ driver: { transformRows } }: Engine) => (name: string): string =>
  transformRows === undefined ? name : Object.keys(transformRows([{ [name]: null }])[0]!)[0]!

/** A session that describes statements. It ends with the scope. */
export const askedOf = (database: Database): Effect.Effect<Asked, DbError, Scope.Scope> =>
  Effect.gen(function*() {
    const engine = engineOf(database)
    const { connection } = yield* reserveSession(engine)
    const { describe } = connection
    if (describe === undefined) {
      return yield* Effect.fail(undescribable(engine.name))
    }
    return {
      dialect: engine.driver.dialect,
      describe: (text) => once<Driver.Description>(connection, (done) => describe.call(connection, text, done)),
      rows: (text) =>
        // An answer in the mode `values`.
        once<unknown>(connection, (done) => connection.execute(ownRequest(text), done)) as Effect.Effect<
          ReadonlyArray<ReadonlyArray<unknown>>,
          DbError
        >,
      transformName: renamed(engine)
    }
  })
