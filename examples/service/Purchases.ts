/** The purchases, in the default database. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { Db, DbError, DbRetry } from "../../src/index.js"
import { Bought, type Purchase, ReferenceTaken } from "./Api.js"
import { priceOf } from "./Catalog.js"

/**
 * Carries a purchase out, once: the same purchase sent again is answered as the first time. A conflict with another
 * transaction is tried again as a whole.
 */
export const buy = (purchase: Purchase) =>
  Effect.gen(function*() {
    const total = (yield* priceOf(purchase.product)) * purchase.quantity
    const bought = new Bought({ ...purchase, total })
    return yield* Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const [known] = yield* sql<typeof Bought.Encoded>`SELECT * FROM purchase WHERE reference = ${purchase.reference}`
      if (known === undefined) {
        yield* sql`INSERT INTO purchase ${sql.insert({ ...bought })}`
        return bought
      }
      return known.product === purchase.product && known.quantity === purchase.quantity
        ? new Bought(known)
        : yield* new ReferenceTaken({ reference: purchase.reference })
    }).pipe(
      Db.transaction({ retry: DbRetry.conflicts }),
      // Sent twice at the same time: the other one was first.
      DbError.catchReason(
        "UniqueViolation",
        () => Effect.fail(new ReferenceTaken({ reference: purchase.reference }))
      )
    )
  })

export const all = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<typeof Bought.Encoded>`SELECT * FROM purchase ORDER BY reference`
  return rows.map((row) => new Bought(row))
}).pipe(Db.session)
