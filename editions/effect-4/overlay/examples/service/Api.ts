/** What the service offers, as a value: the server implements it, a client is made of it. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

/** What a client orders. */
export class Purchase extends Schema.Class<Purchase>("Purchase")({
  /** Chosen by the client, so that a request which is sent twice is not carried out twice. */
  reference: Schema.NonEmptyString,
  product: Schema.NonEmptyString,
  quantity: Schema.Int.check(Schema.isGreaterThan(0))
}) {}

/** What was bought, and for how much. */
export class Bought extends Purchase.extend<Bought>("Bought")({ total: Schema.Int }) {}

export class UnknownProduct extends Schema.TaggedError<UnknownProduct>()(
  "UnknownProduct",
  { product: Schema.String },
  { httpApiStatus: 404 }
) {}

/** This reference stands for another purchase. */
export class ReferenceTaken extends Schema.TaggedError<ReferenceTaken>()(
  "ReferenceTaken",
  { reference: Schema.String },
  { httpApiStatus: 409 }
) {}

/** A database cannot be reached, or is too slow. `applied` is false when nothing of the request was done. */
export class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  { applied: Schema.Literals(["no", "unknown"]) },
  { httpApiStatus: 503 }
) {}

export class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("purchases").add(
    HttpApiEndpoint.post("buy", "/purchases", {
      payload: Purchase,
      success: Bought,
      error: [UnknownProduct, ReferenceTaken, Unavailable]
    }),
    HttpApiEndpoint.get("list", "/purchases", { success: Schema.Array(Bought), error: Unavailable })
  )
) {}
