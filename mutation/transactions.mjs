import { settings } from "./settings.mjs"

/** Transactions and retries as effects. */
export default settings("transactions", ["src/internal/session/{transaction,retry}.ts"])
