/**
 * The databases open in this process: where the recorders and `DbMetrics` meet.
 */
import type { Snapshot } from "../../DbMetrics.js"

/** All of them, the one that was opened first in front. */
export const open = new Set<{ readonly name: string; readonly snapshot: () => Snapshot }>()

/** Registers a database while it is open; returns what takes it out. */
export const register = (name: string, snapshot: () => Snapshot): () => void => {
  const entry = { name, snapshot }
  open.add(entry)
  return () => {
    open.delete(entry)
  }
}
