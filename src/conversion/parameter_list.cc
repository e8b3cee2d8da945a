#include "conversion/parameter_list.h"

namespace postback::conversion {

bool ParameterList::raise_fault(const Parameter& parameter) {
  if (parameters_.size() == kParametersMax) {
    fault_.raise(Reason::too_many_parameters, {},
                 "More than " + std::to_string(kParametersMax) + " parameters came");
    return false;
  }
  const bool long_name = parameter.name.size() > kParameterBytesMax;
  std::string message = long_name ? "The name of parameter " : "The value of parameter ";
  append_shown(&message, parameter.name);
  message += " is longer than " + std::to_string(kParameterBytesMax) + " bytes";
  fault_.raise(Reason::parameter_too_long, parameter.name.substr(0, 255), message);
  return true;
}

}  // namespace postback::conversion
