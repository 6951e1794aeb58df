/** Fields of `DbSchema`, which this edition does not have yet. */
import { it } from "@effect/vitest"
import type { Target } from "./target.js"

export const fields = (_: Target): void => {
  it.skip("fields of DbSchema (the edition does not have it yet)", () => {})
}
