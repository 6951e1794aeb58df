/**
 * A queue, first come, first served. An entry leaves its middle in constant time, however long it is: an interrupted
 * waiter among ten thousand is not searched for.
 */
export interface FifoNode {
  links: FifoNode.Place | undefined
}

export declare namespace FifoNode {
  /** The links of an object in its queue. */
  export interface Place {
    previous: FifoNode | undefined
    next: FifoNode | undefined
  }
}

export class FifoQueue<W extends FifoNode> {
  private first: W | undefined = undefined
  private last: W | undefined = undefined
  size = 0

  get head(): W | undefined {
    return this.first
  }

  /** The one behind. */
  after(waiter: W): W | undefined {
    // Only objects of type W ever enter this queue, so its links are of type W.
    return waiter.links?.next as W | undefined
  }

  add(waiter: W): void {
    waiter.links = { previous: this.last, next: undefined }
    if (this.last === undefined) {
      this.first = waiter
    } else {
      this.last.links!.next = waiter
    }
    this.last = waiter
    this.size++
  }

  /** Removes a waiter from anywhere in the queue; does nothing for one that is not in it. */
  remove(waiter: W): void {
    const place = waiter.links
    if (place === undefined) {
      return
    }
    if (place.previous === undefined) {
      this.first = place.next as W | undefined
    } else {
      place.previous.links!.next = place.next
    }
    if (place.next === undefined) {
      this.last = place.previous as W | undefined
    } else {
      place.next.links!.previous = place.previous
    }
    // A removed node has no links: one that is collected late would keep its neighbours alive.
    place.previous = undefined
    place.next = undefined
    waiter.links = undefined
    this.size--
  }

  /** Empties the queue, from its head, giving each to `f`. */
  drain(f: (waiter: W) => void): void {
    for (let waiter = this.first; waiter !== undefined; waiter = this.first) {
      this.remove(waiter)
      f(waiter)
    }
  }
}
