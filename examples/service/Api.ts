/** What the service offers, as a value: the server implements it, a client is made of it. */
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "@effect/platform"
import { Schema } from "effect"

/** What a client orders. */
export class Purchase extends Schema.Class<Purchase>("Purchase")({
  /** Chosen by the client, so that a request which is sent twice is not carried out twice. */
  reference: Schema.NonEmptyString,
  product: Schema.NonEmptyString,
  quantity: Schema.Int.pipe(Schema.positive())
}) {}

/** What was bought, and for how much. */
export class Bought extends Purchase.extend<Bought>("Bought")({ total: Schema.Int }) {}

export class UnknownProduct extends Schema.TaggedError<UnknownProduct>()(
  "UnknownProduct",
  { product: Schema.String },
  HttpApiSchema.annotations({ status: 404 })
) {}

/** This reference stands for another purchase. */
export class ReferenceTaken extends Schema.TaggedError<ReferenceTaken>()(
  "ReferenceTaken",
  { reference: Schema.String },
  HttpApiSchema.annotations({ status: 409 })
) {}

/** A database cannot be reached, or is too slow. `applied` is false when nothing of the request was done. */
export class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  { applied: Schema.Literal("no", "unknown") },
  HttpApiSchema.annotations({ status: 503 })
) {}

export class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("purchases")
    .add(
      HttpApiEndpoint.post("buy", "/purchases").setPayload(Purchase).addSuccess(Bought)
        .addError(UnknownProduct).addError(ReferenceTaken).addError(Unavailable)
    )
    .add(HttpApiEndpoint.get("list", "/purchases").addSuccess(Schema.Array(Bought)).addError(Unavailable))
) {}
