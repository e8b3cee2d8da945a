// The parameters of one postback in the order in which they were read, within the bounds. Owner:
// the reader, which reuses it. The views borrow from the request and from the decoders' memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "conversion/fault.h"
#include "postback/parameter.h"

namespace postback::conversion {

// The most parameters of one postback, query and body together, and the most bytes of one name or
// value after decoding. Real partners send 5 to 30, of up to some hundred bytes.
constexpr size_t kParametersMax = 64;
constexpr size_t kParameterBytesMax = 4096;

class ParameterList {
 public:
  ParameterList() { parameters_.reserve(kParametersMax); }

  // False, with a fault, when the list is full. A name or value that is too long raises a fault
  // but is added: quarantine shows as much as could be read.
  bool add(const Parameter& parameter) {
    const bool is_usual = parameters_.size() < kParametersMax &&
                          parameter.name.size() <= kParameterBytesMax &&
                          parameter.value.size() <= kParameterBytesMax;
    if (!is_usual && !raise_fault(parameter)) return false;
    parameters_.push_back(parameter);
    return true;
  }
  void clear() {
    parameters_.clear();
    fault_.clear();
  }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  Fault& fault() { return fault_; }

 private:
  // False when the parameter cannot be added.
  bool raise_fault(const Parameter& parameter);

  std::vector<Parameter> parameters_;
  Fault fault_;
};

}  // namespace postback::conversion
