/** Effect's own `Pool`, of things that cost nothing: what checkout and return cost in it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Pool from "effect/Pool"
import { effectPeer } from "../EffectPeer.js"
import type { Open } from "../Peer.js"

class Things extends Context.Tag("Things")<Things, Pool.Pool<object>>() {}

export const open: Open<Effect.Effect<number, unknown, Things>> = (target) =>
  effectPeer({
    layer: Layer.scoped(Things, Pool.make({ acquire: Effect.sync(() => ({})), size: target.connections })),
    operations: {
      checkout: (lent, hold) =>
        Effect.flatMap(Things, (pool) =>
          Effect.scoped(Effect.flatMap(Pool.get(pool), () => {
            lent()
            return hold === undefined ? Effect.succeed(1) : Effect.as(hold(), 1)
          })))
    }
  })
