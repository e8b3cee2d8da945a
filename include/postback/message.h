// Messages between threads. A message is an object that its sender gives away: from post() on it
// belongs to the receiving thread, which usually sends the same object back as the reply. Messages
// are links of an intrusive list, so a mailbox never allocates and never runs full: how many
// messages can exist is bounded where they are made (slabs sized at start).
#pragma once

namespace postback {

struct Message;

// Receives on its own thread, once per message, in the order in which one sender posted them.
class MessageReceiver {
 public:
  virtual void receive(Message& message) = 0;

 protected:
  ~MessageReceiver() = default;
};

struct Message {
  Message* next = nullptr;              // Owned by the mailbox between post() and receive().
  MessageReceiver* receiver = nullptr;  // Set by the sender; lives on the receiving thread.
};

}  // namespace postback
