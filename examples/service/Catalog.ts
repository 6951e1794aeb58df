/** The second database: prices, which this service only reads. */
import { SqlClient, SqlSchema } from "@effect/sql"
import { Effect, Option, Schema } from "effect"
import { Db } from "../../src/index.js"
import { UnknownProduct } from "./Api.js"

export class Catalog extends Db.Tag("Catalog")<Catalog>() {}

/** The price of a product, in cents. */
export const priceOf = (product: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const find = SqlSchema.findOne({
      Request: Schema.String,
      Result: Schema.Struct({ price: Schema.Int }),
      execute: (name) => sql`SELECT price FROM product WHERE name = ${name}`
    })
    const found = yield* find(product).pipe(Effect.catchTag("ParseError", Effect.die))
    return yield* Option.match(found, {
      onNone: () => Effect.fail(new UnknownProduct({ product })),
      onSome: ({ price }) => Effect.succeed(price)
    })
  }).pipe(Catalog.session)
