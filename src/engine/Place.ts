/**
 * Where a fiber stands: in which frame of which session.
 */
import type { Engine } from "./Engine.js"
import type { Frame } from "./Frame.js"
import type { AnyFiber } from "./Origin.js"

/** The frame in which a fiber runs on this engine's database, if any. */
export const frameOf = (engine: Engine, fiber: AnyFiber): Frame | undefined => {
  // Only `provideFrame` writes under this key.
  const frame = fiber.currentContext.unsafeMap.get(engine.frameKey) as Frame | undefined
  return frame !== undefined && frame.session.ground === engine ? frame : undefined
}
